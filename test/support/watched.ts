import type { ReadHandle, Value } from '../../src/substrate/store/store.ts';

/** The same view, with somebody told of each statement before it runs. */
export function watched(db: ReadHandle, onStatement: (sql: string, params: readonly Value[]) => void): ReadHandle {
  const view: ReadHandle = {
    get: (sql, ...params) => {
      onStatement(sql, params);
      return db.get(sql, ...params);
    },
    all: (sql, ...params) => {
      onStatement(sql, params);
      return db.all(sql, ...params);
    },
    recall: (reading, key = '') => reading.read(view, key),
  };
  return view;
}
