/**
 * Node's HTTP server, taken without the module's ESM face: importing that one evaluates every lazy
 * export of it, a WebSocket client among them, which costs 14 MB and a tenth of the start.
 */
export const { createServer } = process.getBuiltinModule('node:http');
