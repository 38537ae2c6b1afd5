/**
 * Where the seed may speak to: https anywhere, http on loopback only, and never an address that stands
 * for the machine's own network or its cloud's metadata.
 */
import { BlockList, isIP } from 'node:net';
import { SeedError } from '../errors.ts';

/** As long as an address may be; more is no model provider's. */
const ADDRESS_UNITS_MAX = 2_048;

/** IPv4 networks that are spoken to by nobody who means a model (RFC 6890), and metadata services outside of them. */
const FORBIDDEN_V4: readonly (readonly [string, number])[] = [
  ['0.0.0.0', 8],
  ['169.254.0.0', 16],
  // Oracle Cloud's metadata is in it.
  ['192.0.0.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
  // Alibaba Cloud's and Azure's metadata.
  ['100.100.100.200', 32],
  ['168.63.129.16', 32],
];

const FORBIDDEN_V6: readonly (readonly [string, number])[] = [
  // Unspecified, and IPv4 in a form that was given up (RFC 4291, 2.5.5.1); ::1 is looked at before.
  ['::', 96],
  ['fe80::', 10],
  ['fec0::', 10],
  ['ff00::', 8],
  // Tunnels to any IPv4 address: Teredo, 6to4, and NAT64 with a prefix of its own.
  ['2001::', 32],
  ['2002::', 16],
  ['64:ff9b:1::', 48],
  // Amazon's and Google's metadata.
  ['fd00:ec2::254', 128],
  ['fd20:ce::254', 128],
];

/** RFC 6052: how an IPv6-only network reaches an IPv4 address. */
const NAT64 = '64:ff9b::';

function blockList(v4: readonly (readonly [string, number])[], v6: readonly (readonly [string, number])[]): BlockList {
  const list = new BlockList();
  for (const [net, bits] of v4) {
    // Covers ::ffff:a.b.c.d as well.
    list.addSubnet(net, bits, 'ipv4');
    list.addSubnet(`${NAT64}${net}`, 96 + bits, 'ipv6');
  }
  for (const [net, bits] of v6) list.addSubnet(net, bits, 'ipv6');
  return list;
}

const forbidden = blockList(FORBIDDEN_V4, FORBIDDEN_V6);
const loopback = blockList([['127.0.0.0', 8]], [['::1', 128]]);

function isIn(list: BlockList, address: string): boolean {
  const family = isIP(address);
  return family !== 0 && list.check(address, family === 4 ? 'ipv4' : 'ipv6');
}

/** Whether an IP address, in any spelling that the system resolves to, is this machine's own. */
export function isLoopbackAddress(address: string): boolean {
  return isIn(loopback, address);
}

/** Whether nobody may connect to an IP address: link-local, metadata, multicast, unspecified; also what is no address. */
export function isForbiddenAddress(address: string): boolean {
  // A zone (`fe80::1%eth0`) belongs to link-local addresses only.
  if (isIP(address) === 0 || address.includes('%')) return true;
  return !isLoopbackAddress(address) && isIn(forbidden, address);
}

/** A URL's host without the brackets of an IPv6 address. */
function hostOf({ hostname }: URL): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
}

/** Whether a URL's host is this machine by its very name (RFC 6761, 6.3), before anything is resolved. */
export function isLoopbackUrl(url: URL): boolean {
  const host = hostOf(url);
  return host === 'localhost' || host.endsWith('.localhost') || isLoopbackAddress(host);
}

/** Why an address may not be spoken to; null when it may. A name's own addresses are looked at when it is resolved. */
function objection(url: URL): string | null {
  if (url.protocol !== 'https:' && url.protocol !== 'http:') return 'is neither https nor http';
  if (url.username !== '' || url.password !== '') return 'carries a user name or password';
  if (url.protocol === 'http:' && !isLoopbackUrl(url)) return 'is http on another machine, where anybody reads along';
  // The parser has turned every spelling (decimal, octal, hexadecimal) into the plain one (WHATWG URL, 3.5).
  const host = hostOf(url);
  return isIP(host) !== 0 && isForbiddenAddress(host) ? 'is a link-local, metadata or multicast address' : null;
}

function refused(what: string, why: string): SeedError {
  return new SeedError('invalid_input', `${what} ${why}.`, {
    hint: 'Give an https address such as https://api.example.com, or http on this machine such as http://127.0.0.1:11434.',
    data: { argument: what },
  });
}

/** As much of a checked address as anybody asks for. */
interface Checked {
  readonly origin: string;
  readonly hasPath: boolean;
}

function check(text: string, what: string): Checked {
  const url = text.length > ADDRESS_UNITS_MAX ? null : URL.parse(text);
  if (url === null) throw refused(what, 'is no address');
  const why = objection(url);
  if (why !== null) throw refused(what, why);
  if (url.search !== '' || url.hash !== '' || /[?#]/.test(text)) throw refused(what, 'has a query or a fragment');
  return { origin: url.origin, hasPath: url.pathname !== '/' };
}

/** More than any home has targets and credentials. */
const KNOWN_MAX = 512;
/** Addresses that were found good: every call asks again, for the same few. */
const known = new Map<string, Checked>();

function parse(text: string, what: string): Checked {
  const found = known.get(text);
  if (found !== undefined) return found;
  const checked = check(text, what);
  if (known.size === KNOWN_MAX) known.clear();
  known.set(text, checked);
  return checked;
}

/**
 * A target's base URL: https, or http on loopback; a path, but no user name, query or fragment.
 *
 * @param what how the value is called in errors, which never repeat the value itself
 * @throws SeedError `invalid_input`
 */
export function parseBaseUrl(text: string, what = 'base_url'): { readonly origin: string } {
  return parse(text, what);
}

/** An origin and nothing more, as `https://host` or `http://127.0.0.1:11434`. @throws SeedError `invalid_input` */
export function parseOrigin(text: string, what = 'origin'): string {
  const { origin, hasPath } = parse(text, what);
  if (hasPath) throw refused(what, 'has a path; an origin is only scheme, host and port');
  return origin;
}
