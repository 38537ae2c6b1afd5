/**
 * Packs the MCP bundle: the program with what it depends on in a few files, no native module.
 *
 *   bundle.ts [FILE]    default: sovereign-seed-VERSION.mcpb in the root of the project
 *
 * Each of our own files stays a file at its own place, since some find others by their own; what
 * comes from packages becomes one file a package. Expects dist/ to be built.
 */
import { cpSync, existsSync, globSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { packExtension } from '@anthropic-ai/mcpb';
import { rolldown } from 'rolldown';

const ROOT = path.resolve(import.meta.dirname, '..');

/** Left out: built for one platform, and no bundle's host loads it everywhere; node:sqlite serves instead. */
const NATIVE: readonly string[] = ['better-sqlite3'];

interface Package {
  readonly name: string;
  readonly version: string;
  readonly license: string;
  readonly engines: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
}

function readPackage(folder: string): Package {
  return JSON.parse(readFileSync(path.join(folder, 'package.json'), 'utf8')) as Package;
}

/** The package that a file in node_modules belongs to. */
function packageOf(file: string): string | null {
  return /.*[/\\]node_modules[/\\]((?:@[^/\\]+[/\\])?[^/\\]+)/.exec(file)?.[1]?.replace('\\', '/') ?? null;
}

/** Writes the program into `stage`/dist; resolves to the packages that went in. */
async function bundleCode(stage: string): Promise<string[]> {
  const dist = path.join(ROOT, 'dist');
  const files = globSync('**/*', { cwd: dist, withFileTypes: true }).filter((entry) => entry.isFile());
  const names = files.map((entry) => path.relative(dist, path.join(entry.parentPath, entry.name)));
  const input = Object.fromEntries(
    names.filter((name) => name.endsWith('.js')).map((name) => [name.slice(0, -'.js'.length), path.join(dist, name)]),
  );
  for (const name of names.filter((each) => !each.endsWith('.js'))) {
    cpSync(path.join(dist, name), path.join(stage, 'dist', name));
  }
  const build = await rolldown({
    input,
    platform: 'node',
    external: [...NATIVE],
    logLevel: 'warn',
    // Grouping by package may add to what a file of ours exports; it takes nothing away.
    preserveEntrySignatures: 'allow-extension',
  });
  try {
    const { output } = await build.write({
      dir: path.join(stage, 'dist'),
      format: 'esm',
      entryFileNames: '[name].js',
      chunkFileNames: 'packages/[name].js',
      codeSplitting: {
        includeDependenciesRecursively: false,
        groups: [
          {
            debugName: 'packages',
            test: /node_modules/,
            name: (id) => packageOf(id)?.replace('@', '').replace('/', '-') ?? null,
          },
        ],
      },
    });
    const modules = output.flatMap((file) => (file.type === 'chunk' ? file.moduleIds : []));
    return [...new Set(modules.map(packageOf).filter((name) => name !== null))].toSorted();
  } finally {
    await build.close();
  }
}

/** The licences of what is bundled, as those licences ask. */
function licences(packages: readonly string[]): string {
  const texts = packages.map((name) => {
    const folder = path.join(ROOT, 'node_modules', name);
    const { version, license } = readPackage(folder);
    const file = readdirSync(folder).find((each) => /^licen[cs]e/i.test(each));
    const text = file === undefined ? `Licence: ${license}\n` : readFileSync(path.join(folder, file), 'utf8');
    return `${name} ${version}\n\n${text.trim()}\n`;
  });
  return texts.join(`\n${'-'.repeat(80)}\n\n`);
}

async function main(file: string | undefined): Promise<void> {
  const { name, version, engines, license } = readPackage(ROOT);
  const stage = path.join(ROOT, '.cache', `bundle-${process.pid}`);
  const out = path.resolve(file ?? path.join(ROOT, `${name}-${version}.mcpb`));
  rmSync(stage, { recursive: true, force: true });
  mkdirSync(stage, { recursive: true });
  try {
    const packages = await bundleCode(stage);
    for (const part of ['bin', 'policies', 'manifest.json', 'LICENSE', 'CHANGELOG.md', 'SECURITY.md']) {
      if (existsSync(path.join(ROOT, part))) cpSync(path.join(ROOT, part), path.join(stage, part), { recursive: true });
    }
    cpSync(path.join(ROOT, 'scripts', 'bundle-launch.sh'), path.join(stage, 'bin', 'seed.sh'));
    const manifest = { name, version, license, type: 'module', engines };
    writeFileSync(path.join(stage, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
    writeFileSync(path.join(stage, 'THIRD-PARTY-LICENSES.txt'), licences(packages));
    mkdirSync(path.dirname(out), { recursive: true });
    // Checks the manifest against its schema first, and says what is wrong with it.
    const packed = await packExtension({ extensionPath: stage, outputPath: out, silent: true });
    if (!packed) throw new Error('The bundle was not packed; see above.');
    process.stdout.write(`${out}\n`);
  } finally {
    rmSync(stage, { recursive: true, force: true });
  }
}

await main(process.argv[2]);
