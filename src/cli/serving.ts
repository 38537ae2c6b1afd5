/** Whether this process serves a home: then the end of who reads its output does not end it. */
let serving = false;

export function noteServing(): void {
  serving = true;
}

export function isServing(): boolean {
  return serving;
}
