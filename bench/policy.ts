/** The policy that calls are measured under. */

/** One role over one target, under two ceilings that nothing reaches. `url` is where the provider's API begins. */
export function policyFor(url: string): string {
  return `
version: 1
timezone: UTC
targets: { local: { provider: nvidia, base_url: "${url}" } }
roles:
  worker: { dispatch: any, max_output_tokens: 64, candidates: [ { target: local, model: measured, tier: 2 } ] }
ceilings:
  - { scope: seed, window: day, usd: "1000000" }
  - { scope: "role:worker", window: day, usd: "1000000" }
prices: [ { target: local, model: measured, input_usd_per_mtok: "0.05", output_usd_per_mtok: "0.05" } ]
`;
}
