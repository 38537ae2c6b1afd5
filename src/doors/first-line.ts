/** Reads one line off a socket and leaves everything after it for whoever reads next. */
import type { Socket } from 'node:net';
import { SeedError } from '../errors.ts';

const NEWLINE = 0x0a;

/** @throws SeedError `invalid_input` when the line is too long, too slow, or never comes */
export function readFirstLine(
  socket: Socket,
  { bytesMax, waitMs }: { bytesMax: number; waitMs: number },
): Promise<string> {
  return new Promise((resolve, reject) => {
    let read = Buffer.alloc(0);
    const done = (settle: () => void): void => {
      clearTimeout(timer);
      socket.off('data', onData);
      socket.off('close', onClose);
      socket.pause();
      settle();
    };
    const fail = (message: string): void => {
      done(() => reject(new SeedError('invalid_input', message, { hint: 'Connect with `seed mcp --as NAME`.' })));
    };
    const onData = (chunk: Buffer): void => {
      read = Buffer.concat([read, chunk]);
      const end = read.indexOf(NEWLINE);
      if (end > bytesMax || (end < 0 && read.length > bytesMax)) return fail('The first line is too long.');
      if (end < 0) return;
      const rest = read.subarray(end + 1);
      done(() => {
        if (rest.length > 0) socket.unshift(rest);
        resolve(read.subarray(0, end).toString('utf8'));
      });
    };
    const onClose = (): void => fail('The connection was closed before its first line.');
    const timer = setTimeout(() => fail('The first line did not come in time.'), waitMs);
    socket.on('data', onData);
    socket.once('close', onClose);
  });
}
