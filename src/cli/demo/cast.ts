/** The two clients of `seed demo handoff`, by the names that the seed knows them by. */
export const FIRST = 'desk';
export const SECOND = 'travel';
