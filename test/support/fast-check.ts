/** Properties: with one seed for every day, so that a run can be repeated, and with new ones in the long run. */
import * as fc from 'fast-check';

if (process.env['SEED_TEST_LONG'] !== '1') fc.configureGlobal({ seed: 7331 });

export * from 'fast-check';
