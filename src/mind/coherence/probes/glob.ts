/**
 * Patterns of paths: `*` and `?` stand for what is in one name, `**` for any folders in between, and at the end
 * for all that is below. Names come from outside and may be chosen by whoever writes there, so a pattern is no
 * regular expression, whose time can grow exponentially with its stars: here it is the product of the lengths.
 */

/** Tells which paths, relative and with `/`, fit a pattern. */
export function compileGlob(glob: string): (path: string) => boolean {
  const parts = partsOf(glob);
  return (path) => fits(parts, path.split('/'), { star: FOLDERS, one: nameFits });
}

/** Tells below which folders, relative and with `/`, a path that fits can be: into others nobody need look. */
export function compileReach(glob: string): (folder: string) => boolean {
  const parts = partsOf(glob);
  const first = parts.indexOf(FOLDERS);
  // What the first star of folders takes in may be anything; without one, the last part is no folder.
  const known = first === -1 ? parts.slice(0, -1) : parts.slice(0, first);
  return (folder) => {
    const names = folder.split('/');
    if (first === -1 && names.length > known.length) return false;
    return names.slice(0, known.length).every((name, at) => nameFits(known[at] ?? '', name));
  };
}

function partsOf(glob: string): string[] {
  const given = glob.split('/').filter((part) => part !== '');
  // At the end it stands for what is in the folder, not for the folder.
  return given.at(-1) === FOLDERS ? [...given, '*'] : given;
}

const FOLDERS = '**';

function nameFits(part: string, name: string): boolean {
  return fits(part, name, { star: '*', one: (sign, letter) => sign === '?' || sign === letter });
}

/**
 * Goes through both with one finger on each. Where they differ the last star takes one more, and only the last:
 * whatever an earlier one could take besides, the last one can take too.
 */
function fits(
  pattern: ArrayLike<string>,
  text: ArrayLike<string>,
  { star, one }: { star: string; one: (sign: string, found: string) => boolean },
): boolean {
  let [at, next, lastStar, taken] = [0, 0, -1, 0];
  while (next < text.length) {
    const [sign, found] = [pattern[at], text[next] ?? ''];
    if (sign === star) {
      lastStar = at++;
      taken = next;
    } else if (sign !== undefined && one(sign, found)) {
      at++;
      next++;
    } else if (lastStar !== -1) {
      at = lastStar + 1;
      next = ++taken;
    } else return false;
  }
  while (pattern[at] === star) at++;
  return at === pattern.length;
}
