import * as z from 'zod';
import { SeedError } from '../errors.ts';
import { FormatError } from '../formats/error.ts';
import { verifyProof } from '../formats/proof.ts';
import { fastSha256 } from '../substrate/receipts/sha256.ts';
import { defineTool } from './define.ts';

export const receiptVerify = defineTool({
  name: 'receipt_verify',
  title: 'Check a proof',
  description:
    'Use when somebody gave you a proof (tlog-proof) of a receipt of this seed and you want to know whether it holds.',
  scope: 'receipt.read',
  surface: 'full',
  access: 'read',
  input: z.strictObject({ proof: z.string().min(1).max(200_000) }),
  output: z.object({
    holds: z.literal(true),
    seq: z.int(),
    action: z.string(),
    outcome: z.string(),
    time: z.string(),
    among: z.int(),
  }),
  text: ({ seq, action, outcome, time, among }) =>
    `The proof holds: receipt ${seq} (${action}, ${outcome}, ${time}) stands in this seed’s log, among ${among}.`,
  handler: async ({ proof }, { substrate }) => {
    const roots = [...substrate.rootFiles];
    try {
      const { receipt, size } = verifyProof(proof, { roots, pinnedRoot: roots.at(-1) ?? '', sha: fastSha256 });
      return {
        holds: true as const,
        seq: receipt.seq,
        action: receipt.action,
        outcome: receipt.outcome,
        time: receipt.time,
        among: size,
      };
    } catch (error) {
      if (!(error instanceof FormatError)) throw error;
      throw new SeedError('invalid_input', `The proof does not hold: ${error.message}`, {
        hint: 'Ask for a new proof; one of another seed cannot be checked here.',
        data: { argument: 'proof', problem: error.code },
      });
    }
  },
});
