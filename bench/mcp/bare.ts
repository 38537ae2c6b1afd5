/**
 * What the seed is measured against: the MCP SDK as its documentation shows it, with a trivial
 * tool and nothing else: no key, no grant, no store. On a socket at the given path, and over HTTP.
 * A second tool does what any call with a durable, signed receipt must do, and nothing besides.
 */
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createServer as createSocketServer } from 'node:net';
import { toNodeHandler } from '@modelcontextprotocol/node';
import { createMcpHandler, McpServer } from '@modelcontextprotocol/server';
import { serveStdio, StdioServerTransport } from '@modelcontextprotocol/server/stdio';
import * as z from 'zod';
import { FloorLog } from '../floor.ts';

const [socketPath = '', logPath = ''] = process.argv.slice(2);
const log = new FloorLog(logPath);

const inputSchema = z.strictObject({ text: z.string().max(100_000).optional() });
const outputSchema = z.object({ length: z.int() });

function build(): McpServer {
  const server = new McpServer({ name: 'bare', version: '1.0.0' });
  server.registerTool('trivial', { description: 'Does next to nothing.', inputSchema, outputSchema }, ({ text }) => {
    const answer = { length: text?.length ?? 0 };
    return { content: [{ type: 'text', text: JSON.stringify(answer) }], structuredContent: answer };
  });
  server.registerTool('kept', { description: 'Leaves a receipt.', inputSchema, outputSchema }, async ({ text }) => {
    await log.append('kept');
    const answer = { length: text?.length ?? 0 };
    return { content: [{ type: 'text', text: JSON.stringify(answer) }], structuredContent: answer };
  });
  return server;
}

const handle = toNodeHandler(createMcpHandler(build));
const http = createHttpServer((request, response) => {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    const body: unknown = JSON.parse(Buffer.concat(chunks).toString('utf8'));
    // Their optional fields differ in type alone.
    void handle(request as Parameters<typeof handle>[0], response, body);
  });
});
http.listen(0, '127.0.0.1');
await once(http, 'listening');

const sockets = createSocketServer((socket) => {
  socket.on('error', () => socket.destroy());
  const served = serveStdio(build, { transport: new StdioServerTransport(socket, socket), legacy: 'serve' });
  socket.once('close', () => void served.close());
});
sockets.listen(socketPath);
await once(sockets, 'listening');

process.stdout.write(`http://127.0.0.1:${(http.address() as AddressInfo).port}/mcp\n`);
