/**
 * The lint rules that only this project has, as an oxlint plugin called `seed`.
 *
 * `seed/floors` and `seed/portable-formats` look at what a file imports; the other rules each keep
 * one thing (the environment, standard output, the network, time and chance, SQL) in one place.
 * Where that place is stands in `.oxlintrc.json`, as an override that turns the rule off there.
 * Built-in rules were not enough: they match import text instead of the file it leads to, do not
 * see `import()`, and an override for a folder replaces their whole list instead of adding to it.
 */
import { realpathSync } from 'node:fs';
import path from 'node:path';

/** As much of an ESTree node as these rules read. */
interface Node {
  readonly type: string;
  readonly parent?: Node;
  readonly [key: string]: unknown;
}

interface Scope {
  readonly set: ReadonlyMap<
    string,
    { readonly defs: readonly { readonly type: string; readonly node?: Node; readonly parent?: Node }[] }
  >;
  readonly upper: Scope | null;
}

interface Context {
  readonly filename: string;
  readonly sourceCode: { getScope(node: Node): Scope };
  report(finding: { readonly node: Node; readonly message: string }): void;
}

type Visitor = Readonly<Record<string, (node: Node) => void>>;

interface Rule {
  create(context: Context): Visitor;
}

const ROOT: string = realpathSync(path.resolve(import.meta.dirname, '..', '..'));

/** Path of a file from the root of the project, with forward slashes. */
function projectPath(file: string): string {
  const real = realpathSync(path.dirname(file));
  return path.relative(ROOT, path.join(real, path.basename(file))).replaceAll(path.sep, '/');
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';
}

function isIdentifier(value: unknown, name?: string): value is Node & { readonly name: string } {
  return isNode(value) && value.type === 'Identifier' && (name === undefined || value['name'] === name);
}

function literalText(value: unknown): string | undefined {
  if (!isNode(value)) return undefined;
  if (value.type === 'Literal' && typeof value['value'] === 'string') return value['value'];
  return undefined;
}

// ---------------------------------------------------------------------------------------------
// What a file imports

interface Import {
  readonly node: Node;
  /** Undefined where the target is computed. */
  readonly target: string | undefined;
  /** The imported names; `*` for the whole module under a name, ELSEWHERE where it went unseen. */
  readonly names: readonly string[];
}

function importedNames(node: Node): string[] {
  const specifiers = Array.isArray(node['specifiers']) ? node['specifiers'].filter(isNode) : [];
  return specifiers.map((specifier) => {
    const imported = node.type === 'ExportNamedDeclaration' ? specifier['local'] : specifier['imported'];
    if (isIdentifier(imported)) return imported.name;
    return literalText(imported) ?? '*';
  });
}

/** `require`, `createRequire(…)` itself, or whatever its result was called that has "require" in it. */
function isRequire(callee: unknown): boolean {
  if (isNode(callee) && callee.type === 'CallExpression') return isIdentifier(callee['callee'], 'createRequire');
  return isIdentifier(callee) && /require/i.test(callee.name) && callee.name !== 'createRequire';
}

/** `process.getBuiltinModule`, however the process or the function was got at. */
function isGetBuiltinModule(callee: unknown): boolean {
  if (!isNode(callee)) return false;
  return (
    (callee.type === 'MemberExpression' ? memberName(callee) : isIdentifier(callee) && callee.name) === GET_BUILTIN
  );
}

const GET_BUILTIN = 'getBuiltinModule';

/** What an expression loads: `require(…)`, `process.getBuiltinModule(…)`, `import(…)`; null if it loads nothing. */
function loadedBy(expression: unknown): { readonly target: unknown } | null {
  if (!isNode(expression)) return null;
  if (expression.type === 'AwaitExpression') return loadedBy(expression['argument']);
  if (expression.type === 'ImportExpression') return { target: expression['source'] };
  if (expression.type !== 'CallExpression') return null;
  const { callee, arguments: args } = expression;
  const loads = isRequire(callee) || isGetBuiltinModule(callee);
  return loads && Array.isArray(args) ? { target: args[0] } : null;
}

/** A module that was loaded as a value and handed on: what is taken from it cannot be seen here. */
const ELSEWHERE = '?';

function patternKeys(pattern: Node): string[] {
  const properties = Array.isArray(pattern['properties']) ? pattern['properties'].filter(isNode) : [];
  return properties.map((property) => {
    const key = property['key'];
    return (isIdentifier(key) && property['computed'] !== true ? key.name : literalText(key)) ?? ELSEWHERE;
  });
}

/** The names taken from a module where it is loaded. */
function takenNames(expression: Node): string[] {
  const { parent } = expression;
  if (parent?.type === 'AwaitExpression') return takenNames(parent);
  if (parent?.type === 'ExpressionStatement') return [];
  if (parent?.type === 'MemberExpression' && parent['object'] === expression) return [memberName(parent) ?? ELSEWHERE];
  const pattern = parent?.type === 'VariableDeclarator' ? parent['id'] : undefined;
  if (!isNode(pattern)) return [ELSEWHERE];
  return pattern.type === 'ObjectPattern' ? patternKeys(pattern) : ['*'];
}

/** Calls back for every way TypeScript has to name another module, types included. */
function onImport(visit: (found: Import) => void): Visitor {
  const fromSource = (node: Node): void => {
    if (node['source'] !== null && node['source'] !== undefined) {
      visit({ node, target: literalText(node['source']), names: importedNames(node) });
    }
  };
  const whole = (node: Node, target: unknown): void => visit({ node, target: literalText(target), names: ['*'] });
  const loaded = (node: Node): void => {
    const found = loadedBy(node);
    if (found !== null) visit({ node, target: literalText(found.target), names: takenNames(node) });
  };
  return {
    ImportDeclaration: fromSource,
    ExportNamedDeclaration: fromSource,
    ExportAllDeclaration: (node) => whole(node, node['source']),
    ImportExpression: (node) => loaded(node),
    TSImportType: (node) => whole(node, node['source'] ?? node['argument']),
    TSImportEqualsDeclaration: (node) => {
      const reference = node['moduleReference'];
      if (isNode(reference) && reference.type === 'TSExternalModuleReference') whole(node, reference['expression']);
    },
    CallExpression: (node) => loaded(node),
  };
}

/** The floors of `src/`, top first; an import may go down, or stay on its own floor. */
const FLOORS: readonly { readonly name: string; readonly holds: RegExp }[] = [
  { name: 'main and cli', holds: /^src\/((?:main|daemon|upkeep|config)\.ts$|cli\/)/ },
  { name: 'doors', holds: /^src\/doors\// },
  { name: 'tools', holds: /^src\/tools\// },
  { name: 'membrane', holds: /^src\/membrane\// },
  { name: 'mind', holds: /^src\/mind\// },
  { name: 'substrate', holds: /^src\/substrate\// },
  { name: 'formats', holds: /^src\/formats\// },
  { name: 'errors', holds: /^src\/errors\.ts$/ },
];

function floorOf(file: string): number {
  return FLOORS.findIndex((floor) => floor.holds.test(file));
}

function resolveRelative(file: string, target: string): string {
  return path.posix.normalize(path.posix.join(path.posix.dirname(file), target));
}

const floors: Rule = {
  create(context) {
    const file = projectPath(context.filename);
    const here = floorOf(file);
    return {
      Program: (node) => {
        if (here === -1) context.report({ node, message: `${file} is on no floor; see the list in house-rules.ts.` });
      },
      ...onImport(({ node, target }) => {
        if (target === undefined) {
          context.report({ node, message: 'An import must name its module as plain text.' });
          return;
        }
        if (!target.startsWith('.') && !target.startsWith('/') && !target.startsWith('#')) return;
        const there = resolveRelative(file, target);
        const floor = floorOf(there);
        if (floor === -1) {
          context.report({ node, message: `${target} leads to ${there}, which is on no floor of src/.` });
        } else if (floor < here) {
          const names = `${FLOORS[here]?.name} may not import ${FLOORS[floor]?.name}`;
          context.report({ node, message: `${names}: an arrow may skip a floor, never turn round.` });
        } else if (there === 'src/config.ts' && !/^src\/((?:main|daemon)\.ts$|cli\/)/.test(file)) {
          context.report({
            node,
            message: 'Only main.ts, daemon.ts and cli/ read the configuration; hand the value in.',
          });
        }
      }),
    };
  },
};

// ---------------------------------------------------------------------------------------------
// What a file reaches for without being handed it

/** Whether the identifier means the runtime's own thing: a global, or an import of a listed module. */
function isAmbient(
  context: Context,
  identifier: Node & { readonly name: string },
  modules: readonly string[],
): boolean {
  for (let scope: Scope | null = context.sourceCode.getScope(identifier); scope !== null; scope = scope.upper) {
    const variable = scope.set.get(identifier.name);
    if (variable === undefined || variable.defs.length === 0) continue;
    return variable.defs.some(
      (definition) =>
        definition.type === 'ImportBinding' && modules.includes(literalText(definition.parent?.['source']) ?? ''),
    );
  }
  return true;
}

/** `process` in `process`, `globalThis.process` and `global.process`; undefined for anything else. */
function ambientName(context: Context, value: unknown, modules: readonly string[]): string | undefined {
  if (isIdentifier(value)) {
    if (!isAmbient(context, value, modules)) return undefined;
    return value.name;
  }
  if (isNode(value) && value.type === 'MemberExpression') {
    const holder = value['object'];
    if (isIdentifier(holder, 'globalThis') || isIdentifier(holder, 'global')) return memberName(value);
  }
  return undefined;
}

function memberName(node: Node): string | undefined {
  const property = node['property'];
  if (node['computed'] === true) return literalText(property);
  return isIdentifier(property) ? property.name : undefined;
}

interface Reach {
  /** Globals that may not be used at all. */
  readonly globals?: readonly string[];
  /** Members of a global, or of a module imported under that name, that may not be used. */
  readonly members?: Readonly<Record<string, readonly string[]>>;
  /** Names that may not be imported from a module; `*` bans the module. */
  readonly modules?: Readonly<Record<string, readonly string[]>>;
  /** Constructors that may not be called without an argument. */
  readonly bareConstructors?: readonly string[];
  readonly message: string;
}

/** Whether an identifier is only the name of a member or a key, or stands in a type. */
function isMereName(node: Node): boolean {
  const parent = node.parent;
  if (parent === undefined) return false;
  if (parent.type === 'MemberExpression') return parent['property'] === node && parent['computed'] !== true;
  if (parent.type === 'Property')
    return parent['key'] === node && parent['computed'] !== true && parent['value'] !== node;
  if (/^(MethodDefinition|PropertyDefinition|AccessorProperty)$/.test(parent.type)) return parent['key'] === node;
  if (/^(Labeled|Break|Continue)Statement$/.test(parent.type)) return true;
  return /^(TS(?!AsExpression|NonNull|Satisfies|Instantiation|EnumMember|Export)|Import|Export.*Specifier)/.test(
    parent.type,
  );
}

function reach({ globals = [], members = {}, modules = {}, bareConstructors = [], message }: Reach): Rule {
  const withPrefix = Object.entries(modules).flatMap(([name, names]) => [
    [name, names] as const,
    [name.replace(/^node:/, ''), names] as const,
  ]);
  const banned = new Map(withPrefix);
  const moduleNames = [...banned.keys()];
  /** What is banned of a module; a file inside one that is banned whole is banned whole. */
  const bannedOf = (target: string): readonly string[] | undefined => {
    const [own] = target.split('/');
    const whole = own === undefined ? undefined : banned.get(own);
    return banned.get(target) ?? (whole?.includes('*') === true ? whole : undefined);
  };
  return {
    create(context) {
      const report = (node: Node, what: string): void => context.report({ node, message: `${what}: ${message}` });
      const bannedMember = (holder: string | undefined, member: string | undefined): boolean =>
        holder !== undefined && member !== undefined && (members[holder]?.includes(member) ?? false);
      const isBare = (node: Node, name: string | undefined): boolean =>
        name !== undefined &&
        bareConstructors.includes(name) &&
        Array.isArray(node['arguments']) &&
        node['arguments'].length === 0;
      const visitImport = onImport(({ node, target, names }) => {
        const list = bannedOf(target ?? '');
        if (list === undefined) return;
        const found = list.includes('*') ? '*' : names.find((name) => name === ELSEWHERE || list.includes(name));
        if (found !== undefined)
          report(node, list.includes(found) && found !== '*' ? `${found} of ${target}` : `${target}`);
      });
      /** A whole module under a local name: `import * as crypto`, or loaded by a call, and then `crypto.randomUUID`. */
      const moduleOf = (identifier: unknown): readonly string[] => {
        if (!isIdentifier(identifier)) return [];
        for (let scope: Scope | null = context.sourceCode.getScope(identifier); scope !== null; scope = scope.upper) {
          const definition = scope.set.get(identifier.name)?.defs[0];
          if (definition === undefined) continue;
          const source =
            definition.type === 'ImportBinding'
              ? definition.parent?.['source']
              : loadedBy(definition.node?.['init'])?.target;
          return banned.get(literalText(source) ?? '') ?? [];
        }
        return [];
      };
      return {
        ...visitImport,
        CallExpression: (node) => {
          visitImport['CallExpression']?.(node);
          const name = ambientName(context, node['callee'], moduleNames);
          if (isBare(node, name)) report(node, `${name}()`);
        },
        NewExpression: (node) => {
          const name = ambientName(context, node['callee'], moduleNames);
          if (isBare(node, name)) report(node, `new ${name}()`);
        },
        Identifier: (node) => {
          if (!isIdentifier(node) || !globals.includes(node.name) || isMereName(node)) return;
          if (isAmbient(context, node, [])) report(node, node.name);
        },
        MemberExpression: (node) => {
          const member = memberName(node);
          const holder = ambientName(context, node['object'], moduleNames);
          if (bannedMember(holder, member)) report(node, `${holder}.${member}`);
          else if (member !== undefined && moduleOf(node['object']).includes(member)) report(node, member);
          else if (isIdentifier(node['object'], 'globalThis') && member !== undefined && globals.includes(member)) {
            report(node, member);
          }
        },
        VariableDeclarator: (node) => {
          const pattern = node['id'];
          if (!isNode(pattern) || pattern.type !== 'ObjectPattern' || !Array.isArray(pattern['properties'])) return;
          const holder = ambientName(context, node['init'], moduleNames);
          const list = moduleOf(node['init']);
          for (const property of pattern['properties'].filter(isNode)) {
            const key = isIdentifier(property['key']) ? property['key'].name : literalText(property['key']);
            if (bannedMember(holder, key)) report(property, `${holder}.${key}`);
            else if (key !== undefined && list.includes(key)) report(property, key);
          }
        },
      };
    },
  };
}

const RANDOM = ['randomUUID', 'randomBytes', 'randomInt', 'randomFill', 'randomFillSync', 'getRandomValues'];

const portable = reach({
  globals: ['Buffer', 'process', 'global', 'require', '__dirname', '__filename', 'setImmediate'],
  message: 'formats/ must also run in a browser, with nothing but its own files and @noble.',
});

const portableFormats: Rule = {
  create(context) {
    const file = projectPath(context.filename);
    const ambient = portable.create(context);
    const imports = onImport(({ node, target }) => {
      if (target === undefined) return;
      const own = target.startsWith('.') && resolveRelative(file, target).startsWith('src/formats/');
      if (own || target.startsWith('@noble/')) return;
      context.report({ node, message: `${target}: formats/ may import only its own files and @noble.` });
    });
    return { ...ambient, ...imports };
  },
};

export default {
  meta: { name: 'seed' },
  rules: {
    floors,
    'portable-formats': portableFormats,
    'environment-in-config': reach({
      members: { process: ['env', 'loadEnvFile'] },
      modules: { 'node:process': ['env'] },
      message: 'src/config.ts alone reads the environment; hand the value in.',
    }),
    'output-in-cli': reach({
      globals: ['console'],
      members: { process: ['stdout'] },
      modules: { 'node:process': ['stdout'], 'node:console': ['*'] },
      message: 'standard output belongs to the protocol; only src/cli/ writes to it. Use the logger.',
    }),
    'network-in-egress': reach({
      globals: ['fetch', 'WebSocket', 'EventSource', 'XMLHttpRequest'],
      modules: {
        'node:http': ['request', 'get', 'ClientRequest'],
        'node:https': ['request', 'get'],
        'node:http2': ['connect'],
        'node:tls': ['connect'],
        // A name that is looked up is sent too.
        'node:dns': ['*'],
        'node:dns/promises': ['*'],
        'node:dgram': ['*'],
        undici: ['*'],
      },
      message: 'all outbound traffic goes through src/membrane/egress.ts; have its fetch handed in.',
    }),
    'chance-in-sources': reach({
      members: { Date: ['now'], Math: ['random'], crypto: RANDOM, webcrypto: RANDOM },
      modules: { 'node:crypto': [...RANDOM, 'webcrypto'] },
      bareConstructors: ['Date'],
      message: 'time, randomness and ids are passed in, so that a test can decide them.',
    }),
    'sql-in-store': reach({
      modules: { 'better-sqlite3': ['*'], 'node:sqlite': ['*'] },
      message: 'database drivers stay inside src/substrate/store/ and src/substrate/home/.',
    }),
  },
};
