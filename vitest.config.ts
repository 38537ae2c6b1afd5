import { defineConfig, type ViteUserConfig } from 'vitest/config';

/** Sizes that only `npm run test:long` uses are behind SEED_TEST_LONG; those tests need longer. */
const isLong: boolean = process.env['SEED_TEST_LONG'] === '1';

const config: ViteUserConfig = defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['scripts/test-setup.ts'],
    // Forks, because native modules and signals do not belong in threads.
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: isLong ? 600_000 : 30_000,
    hookTimeout: isLong ? 600_000 : 60_000,
    teardownTimeout: 10_000,
    allowOnly: process.env['CI'] === undefined,
    watch: false,
  },
});

export default config;
