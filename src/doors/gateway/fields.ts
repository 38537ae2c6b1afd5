/**
 * What becomes of each field that a client of an API may send, as data: parsing goes by it (`sifting.ts`), and
 * docs/reference/gateway.md prints it.
 *
 * - `carried`: it does what the API says.
 * - `listed`: the request goes on without it, and the answer's `x-seed-not-carried` names it. For hints, caches
 *   and sampling: the answer is of the same kind without them.
 * - `refused`: 400, naming the field. For whatever would make the answer another one than was asked for.
 *
 * A field that is null is not there. One that no table names is listed, since clients grow faster than tables;
 * content, tools and roles that are unknown are refused, since nobody can answer what was left out.
 */

export type Fate = 'carried' | 'listed' | 'refused';

export interface FieldRule {
  readonly fate: Fate;
  /** What that means for the field, in a few words: for docs and for the error. */
  readonly note: string;
  /** Values that ask for nothing, as JSON: neither listed nor refused. */
  readonly idle?: readonly string[];
}

export type FieldTable = Readonly<Record<string, FieldRule>>;

const carried = (note = ''): FieldRule => ({ fate: 'carried', note });
const listed = (note: string, ...idle: string[]): FieldRule => ({ fate: 'listed', note, idle });
const refused = (note: string, ...idle: string[]): FieldRule => ({ fate: 'refused', note, idle });

const SAMPLING = 'models answer with the sampling that their provider sets';
const EFFORT = 'models think as much as their provider sets';
const CACHE = 'caching at a provider is the provider’s own affair';
const ELSEWHERE = 'it runs at one provider, outside the owner’s policy';
const ONE_SHAPE = 'no form of an answer can be forced on every provider; describe it in the prompt, or use a tool';
const STATE = 'what a provider keeps is not reached from here; send the conversation itself';
const MOVED = 'in the middle they go before all that is said, listed as `messages.order`';
const ACCOUNT = 'the owner’s policy decides how a model is paid and served';

/** OpenAI: POST /v1/chat/completions (API reference, "Create chat completion"). */
export const OPENAI = {
  body: {
    model: carried('a role of the policy, or a model that the owner mapped to one'),
    messages: carried('text, images as data URLs, tool calls and results: by their fields'),
    tools: carried('functions'),
    tool_choice: carried(
      '`auto`, and `none`: the model is shown no tools; any other is refused: no call can be forced',
    ),
    max_completion_tokens: carried('policy and ceilings may lower it'),
    max_tokens: carried('the older name; listed where the newer one says something else'),
    stop: carried('up to 16'),
    stream: carried(),
    stream_options: carried('by its fields'),
    metadata: carried(
      'as labels for ceilings and reports: 8 at most; a value of more than 128 characters as its SHA-256',
    ),
    user: carried('as the label `user`'),
    temperature: listed(SAMPLING),
    top_p: listed(SAMPLING),
    frequency_penalty: listed(SAMPLING, '0'),
    presence_penalty: listed(SAMPLING, '0'),
    seed: listed('best effort where it exists, and not the same anywhere'),
    reasoning_effort: listed(EFFORT),
    verbosity: listed(EFFORT),
    prediction: listed('makes an answer faster, not another one'),
    store: listed('the seed keeps what its own rules say', 'false'),
    service_tier: listed(ACCOUNT, '"auto"', '"default"'),
    prompt_cache_key: listed(CACHE),
    prompt_cache_options: listed(CACHE),
    prompt_cache_retention: listed(CACHE),
    safety_identifier: listed('no user of yours is named to a provider'),
    n: refused('a call has one answer', '1'),
    logprobs: refused('not every provider knows them', 'false'),
    top_logprobs: refused('not every provider knows them', '0'),
    logit_bias: refused('tokens differ from model to model', '{}'),
    response_format: refused(ONE_SHAPE, '{"type":"text"}'),
    parallel_tool_calls: listed('a model may always make several calls at once', 'true'),
    modalities: refused('answers are text', '["text"]'),
    audio: refused('answers are text'),
    web_search_options: refused(ELSEWHERE),
    moderation: refused(ELSEWHERE),
    functions: refused('deprecated; use `tools`', '[]'),
    function_call: refused('deprecated; use `tool_choice`', '"none"', '"auto"'),
  },
  stream_options: {
    include_usage: carried(),
    include_obfuscation: listed('streams are not padded', 'false'),
  },
  messages: {
    role: carried(`\`system\`, \`developer\` (as \`system\`; ${MOVED}), \`user\`, \`assistant\`, \`tool\``),
    content: carried('text, or parts of type `text`, `image_url` (a data URL of PNG, JPEG, GIF or WebP) and `refusal`'),
    tool_calls: carried('functions'),
    tool_call_id: carried(),
    refusal: carried('as text'),
    name: listed('messages have no names here'),
    annotations: listed('notes of a provider', '[]'),
    audio: refused('answers are text'),
    function_call: refused('deprecated; use `tool_calls`'),
  },
  'messages.content': {
    type: carried(),
    text: carried(),
    refusal: carried(),
    image_url: carried('an address on the network is refused: the seed fetches nothing for a client'),
    prompt_cache_breakpoint: listed(CACHE),
  },
  'messages.content.image_url': {
    url: carried(),
    detail: listed('images go as they are', '"auto"'),
  },
  'messages.tool_calls': { id: carried(), type: carried(), function: carried() },
  'messages.tool_calls.function': { name: carried(), arguments: carried('the JSON text of an object') },
  tools: { type: carried('`function`'), function: carried() },
  'tools.function': {
    name: carried('up to 128 characters; one of more than 64 has a shorter one on its way'),
    description: carried(),
    parameters: carried(),
    strict: listed('arguments are not checked against the schema', 'false'),
  },
} as const satisfies Readonly<Record<string, FieldTable>>;

/** OpenAI: POST /v1/responses (API reference, "Create a model response"), which Codex speaks. */
export const RESPONSES = {
  body: {
    model: carried('a role of the policy, or a model that the owner mapped to one'),
    input: carried('text, or items: by their fields'),
    instructions: carried('as a system message'),
    tools: carried('functions'),
    tool_choice: carried(
      '`auto`, and `none`: the model is shown no tools; any other is refused: no call can be forced',
    ),
    max_output_tokens: carried('policy and ceilings may lower it'),
    stream: carried(),
    text: carried('by its fields'),
    metadata: carried(
      'as labels for ceilings and reports: 8 at most; a value of more than 128 characters as its SHA-256',
    ),
    user: carried('as the label `user`'),
    temperature: listed(SAMPLING),
    top_p: listed(SAMPLING),
    reasoning: listed(EFFORT),
    include: listed('an answer has its text and its calls', '[]'),
    store: listed('the seed keeps what its own rules say', 'false'),
    stream_options: listed('streams are not padded', '{"include_obfuscation":false}'),
    parallel_tool_calls: listed('a model may always make several calls at once', 'true'),
    max_tool_calls: listed('it is about tools of the provider’s own'),
    truncation: listed(
      'a conversation that is too long is shortened by the seed, and the receipts say so',
      '"disabled"',
    ),
    context_management: listed('a conversation that is too long is shortened by the seed, and the receipts say so'),
    service_tier: listed(ACCOUNT, '"auto"', '"default"'),
    access_programs: listed(ACCOUNT),
    prompt_cache_key: listed(CACHE),
    prompt_cache_options: listed(CACHE),
    prompt_cache_retention: listed(CACHE),
    safety_identifier: listed('no user of yours is named to a provider'),
    top_logprobs: refused('not every provider knows them', '0'),
    background: refused('an answer is waited for', 'false'),
    previous_response_id: refused(STATE),
    conversation: refused(STATE),
    prompt: refused(STATE),
    moderation: refused(ELSEWHERE),
    image: refused('answers are text'),
  },
  text: {
    format: refused(ONE_SHAPE, '{"type":"text"}'),
    verbosity: listed(EFFORT),
  },
  input: {
    type: carried('`message`, `function_call`, `function_call_output`; `reasoning` of elsewhere is listed'),
    role: carried(`\`system\`, \`developer\` (as \`system\`; ${MOVED}), \`user\`, \`assistant\``),
    content: carried('text, or parts of type `input_text`, `output_text`, `refusal` and `input_image` (a data URL)'),
    call_id: carried(),
    name: carried(),
    arguments: carried('the JSON text of an object'),
    output: carried('text, or parts of type `input_text` and `input_image`'),
    id: carried('items have no names of their own here'),
    status: carried(),
    phase: listed('an answer is one answer'),
    namespace: carried('the group that a called tool stands in'),
    async: listed('calls are the client’s own', 'false'),
    caller: listed('calls are the client’s own', '{"type":"direct"}'),
  },
  'input.content': {
    type: carried(),
    text: carried(),
    refusal: carried(),
    image_url: carried('an address on the network is refused: the seed fetches nothing for a client'),
    detail: listed('images go as they are', '"auto"'),
    annotations: listed('notes of a provider', '[]'),
    logprobs: listed('notes of a provider', '[]'),
    file_id: refused(STATE),
    prompt_cache_breakpoint: listed(CACHE),
  },
  'tools (namespace)': {
    type: carried(),
    name: carried('stands before the names of its tools on their way'),
    description: listed('its tools have their own'),
    tools: carried('functions'),
  },
  tools: {
    type: carried(
      '`function`, `namespace`; `web_search`, `image_generation` and `tool_search` are listed, since no model has to use them; any other is refused',
    ),
    name: carried('up to 128 characters; one of more than 64 has a shorter one on its way'),
    description: carried(),
    parameters: carried(),
    strict: listed('arguments are not checked against the schema', 'false'),
    defer_loading: listed('the model is shown every tool', 'false'),
    allowed_callers: listed('calls are the client’s own', '["direct"]'),
    output_schema: listed('results are what the client says'),
    async: listed('calls are the client’s own', 'false'),
  },
} as const satisfies Readonly<Record<string, FieldTable>>;

/** Anthropic: POST /v1/messages and /v1/messages/count_tokens (API reference, "Messages", betas included). */
export const ANTHROPIC = {
  headers: {
    'anthropic-beta': listed('features of one provider; what they add to a body has its own line'),
  },
  body: {
    model: carried('a role of the policy, or a model that the owner mapped to one'),
    messages: carried('text, images, tool calls and results, thinking: by their fields'),
    system: carried(),
    max_tokens: carried('policy and ceilings may lower it'),
    tools: carried('client tools with a schema of their own'),
    tool_choice: carried(
      '`auto`, and `none`: the model is shown no tools; any other is refused: no call can be forced',
    ),
    stop_sequences: carried('up to 16'),
    stream: carried(),
    metadata: carried('`user_id` as the label `user_id`; one of more than 128 characters as its SHA-256'),
    temperature: listed(SAMPLING),
    top_p: listed(SAMPLING),
    top_k: listed(SAMPLING),
    thinking: listed(EFFORT, '{"type":"disabled"}'),
    cache_control: listed(CACHE),
    context_management: listed('a conversation that is too long is shortened by the seed, and the receipts say so'),
    compaction: listed('a conversation that is too long is shortened by the seed, and the receipts say so'),
    service_tier: listed(ACCOUNT, '"auto"'),
    billing_policy: listed(ACCOUNT),
    speed: listed(ACCOUNT, '"standard"'),
    fallbacks: listed('policy names the candidates of a role'),
    fallback_credit_token: listed(ACCOUNT),
    diagnostics: listed('the receipts say what happened'),
    user_profile_id: listed('no user of yours is named to a provider'),
    workspace_id: listed(ACCOUNT),
    output_config: carried('by its fields'),
    container: refused(ELSEWHERE),
    mcp_servers: refused(ELSEWHERE, '[]'),
    inference_geo: refused('where a model runs is the owner’s policy, and cannot be promised here'),
    output_format: refused(ONE_SHAPE),
    thread: refused(`${STATE}; the SDK's tool runner does so by itself, once it is told`),
  },
  output_config: {
    effort: listed(EFFORT),
    format: refused(ONE_SHAPE),
  },
  tool_choice: {
    type: carried(),
    name: refused('no call can be forced'),
    disable_parallel_tool_use: listed('a model may always make several calls at once', 'false'),
  },
  metadata: { user_id: carried() },
  messages: {
    role: carried(`\`user\`, \`assistant\`, \`system\` (${MOVED}); an answer that is begun for the model is refused`),
    content: carried(
      'text, or blocks of type `text`, `image` (base64 of PNG, JPEG, GIF or WebP), `document` (plain text alone), `tool_use`, `tool_result`, `thinking` and `redacted_thinking`; what stands before a result goes behind it, listed as `messages.content.order`',
    ),
  },
  'messages.content': {
    type: carried(),
    text: carried(),
    source: carried('an address on the network is refused: the seed fetches nothing for a client'),
    id: carried(),
    name: carried(),
    input: carried(),
    tool_use_id: carried(),
    content: carried(),
    is_error: carried(),
    thinking: carried('goes back to the model that it came from, and to no other'),
    signature: carried(),
    data: carried(),
    title: carried('of a document'),
    context: carried('of a document'),
    cache_control: listed(CACHE),
    citations: listed('answers cite nothing by themselves', '[]', '{"enabled":false}'),
    caller: listed('calls are the client’s own', '{"type":"direct"}'),
    toolset_name: listed('tools stand for themselves'),
    transformations: listed('images go as they are'),
  },
  tools: {
    type: carried('`custom`; tools of Anthropic’s own (`web_search_…`, `bash_…`) are refused'),
    name: carried('up to 128 characters; one of more than 64 has a shorter one on its way'),
    description: carried(),
    input_schema: carried(),
    cache_control: listed(CACHE),
    strict: listed('arguments are not checked against the schema', 'false'),
    defer_loading: listed('the model is shown every tool', 'false'),
    eager_input_streaming: listed('a call comes whole', 'false'),
    input_examples: listed('the description is what a model is shown', '[]'),
    allowed_callers: listed('calls are the client’s own', '["direct"]'),
  },
} as const satisfies Readonly<Record<string, FieldTable>>;
