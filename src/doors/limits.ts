/** What one client may take of the doors. Each is far above honest use. */

/** A request over HTTP: its body, and how deep its JSON. */
export const HTTP_BODY_BYTES_MAX: number = 4 * 1024 * 1024;
export const FORM_BYTES_MAX: number = 16 * 1024;
/** Messages in one legacy batch. */
export const BATCH_MAX = 50;
/** Time for a request's headers to arrive, from its connection on; and between looks for who is late. */
export const HEADERS_ARRIVE_MS_MAX = 5_000;
export const LATE_LOOK_MS = 1_000;
/** Time for a request to arrive, and for one that is no stream to be answered. */
export const REQUEST_ARRIVE_MS_MAX = 30_000;
export const REQUEST_ANSWER_MS_MAX = 120_000;
/** A stream is closed after this long; clients open it again. */
export const STREAM_MS_MAX: number = 60 * 60_000;
/** Values in the JSON of one message, the lists and objects among them. */
export const JSON_VALUES_MAX = 100_000;
/** Names in one object of a tool's input. */
export const INPUT_NAMES_MAX = 5_000;
/** Bodies that are held in memory while their requests are answered, of one key and of all. */
export const HTTP_BYTES_PER_KEY_MAX: number = 32 * 1024 * 1024;
export const HTTP_BYTES_AT_ONCE_MAX: number = 96 * 1024 * 1024;
/** Answers that wait in memory for clients that do not read them, of one key and of all. */
export const HTTP_UNREAD_BYTES_PER_KEY_MAX: number = 32 * 1024 * 1024;
export const HTTP_UNREAD_BYTES_MAX: number = 96 * 1024 * 1024;
/** A request that opens a stream: what it says of itself is kept as long as the stream. */
export const LISTEN_BYTES_MAX: number = 64 * 1024;
/** Addresses that one request listens to, and that one connection of the older era is subscribed to. */
export const ADDRESSES_PER_LISTEN_MAX = 256;
/** Streams of one connection to the local socket. */
export const STREAMS_PER_CONNECTION_MAX = 128;
/** Changed addresses that one connection is told of when it reads again. */
export const ADDRESSES_LATE_MAX: number = STREAMS_PER_CONNECTION_MAX * ADDRESSES_PER_LISTEN_MAX;
/** Notifications that wait in memory for one stream's client. */
export const NOTICES_UNREAD_BYTES_MAX: number = 256 * 1024;
/** Under one key at once. */
export const REQUESTS_PER_KEY_MAX = 600;
export const STREAMS_PER_KEY_MAX = 128;
/** Connections to a door at once. */
export const CONNECTIONS_MAX = 2_000;
/** A message on the local socket. */
export const SOCKET_MESSAGE_BYTES_MAX: number = 10 * 1024 * 1024;
/** Answers that wait in memory for a local client that does not read them. */
export const SOCKET_UNREAD_BYTES_MAX: number = 64 * 1024 * 1024;
/** Whoever is sent away has this long to read why and hang up. */
export const FAREWELL_MS_MAX = 2_000;
export const HELLO_BYTES_MAX = 4_096;
export const HELLO_MS_MAX = 10_000;
/** Windows of one client at once. */
export const WINDOWS_PER_NAME_MAX = 99;
/**
 * A request to the gateway, which has a whole conversation in it, those of one key, and all of them together. It is
 * read, hashed and written in one thread: a larger one would keep everybody else waiting for a second and more.
 */
export const GATEWAY_BODY_BYTES_MAX: number = 12 * 1024 * 1024;
export const GATEWAY_BYTES_PER_KEY_MAX: number = 64 * 1024 * 1024;
export const GATEWAY_BYTES_AT_ONCE_MAX: number = 128 * 1024 * 1024;
/** Values in its JSON, the lists and objects among them: each is looked at, and copied, in that one thread. */
export const GATEWAY_VALUES_MAX = 200_000;
/** Time for its body to arrive: less than for a request at all, so that it is told so in its API's own terms. */
export const GATEWAY_BODY_MS_MAX = 25_000;
/** Between signs of life in a stream that has nothing to say. */
export const PING_MS = 10_000;
/** What waits in memory for a client that does not read its stream. */
export const STREAM_UNREAD_BYTES_MAX: number = 8 * 1024 * 1024;
/** Time for a client to take the rest of an answer that is whole. */
export const ANSWER_TAKEN_MS_MAX = 60_000;
