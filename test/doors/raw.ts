/** Bytes to a door as they are, for what no client would send. */
import { connect } from 'node:net';

/** All that is answered until the door closes the connection; with `end` nothing more will come from here. */
export async function raw(port: number, bytes: string, { end = false } = {}): Promise<string> {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
  socket.write(bytes);
  if (end) socket.end();
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of socket as AsyncIterable<Buffer>) chunks.push(chunk);
  } catch (thrown) {
    // A door that has not read all of it may reset the connection behind its answer.
    if (chunks.length === 0) throw thrown;
  } finally {
    socket.destroy();
  }
  return Buffer.concat(chunks).toString();
}
