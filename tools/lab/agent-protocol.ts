// What the lab and its agent in the client machine say to each other, over the channel of Node's own.

export interface FetchRequest {
  op: 'fetch';
  /** HTTP where nothing is said. */
  kind?: 'http' | 'udp';
  /** Client addresses; each makes one request. */
  sources: string[];
  target: string;
  /** How many at once. */
  width: number;
  timeoutMs: number;
}

export interface Fetched {
  source: string;
  /** Which node answered; null when none did. */
  server: string | null;
  error: string | null;
  ms: number;
}

export interface ProbeRequest {
  op: 'probe';
  kind: 'http' | 'udp';
  sources: string[];
  target: string;
  /** From the start of one attempt to the next, if it was answered. */
  periodMs: number;
  /** An attempt that is not answered within this time is given up, and the next begins at once. */
  patienceMs: number;
}

/** The longest time that one client was without an answer. Times are of CLOCK_MONOTONIC, in ms. */
export interface Gap {
  source: string;
  from: number;
  to: number;
  before: string | null;
  after: string | null;
}

export interface ProbeReport {
  gaps: Gap[];
  attempts: number;
  answered: number;
}

/** When each source was last answered, by whom, and from when on. */
export interface ProbeState {
  source: string;
  last: number | null;
  server: string | null;
}

export interface StreamsRequest {
  op: 'streams';
  sources: string[];
  target: string;
  periodMs: number;
}

export interface StreamState {
  source: string;
  server: string;
  open: boolean;
  error: string | null;
  /** Bytes sent and not echoed yet. */
  behind: number;
  echoed: number;
}

/** Connections that must not break. */
export interface FlowsRequest {
  op: 'flows';
  /** Client addresses, of either family: one connection each. */
  downloads: string[];
  idle: string[];
  targets: { ipv4: string; ipv6: string };
  /** Of each download. */
  bytes: number;
  bytesPerSecond: number;
}

export interface FlowState {
  source: string;
  kind: 'download' | 'idle';
  server: string | null;
  /** Bytes of bodies. */
  received: number;
  /** The longest time between two pieces of a download. */
  worstGapMs: number;
  /** Why it is broken. */
  error: string | null;
}

/** Numbered datagrams, each of which must be answered once. */
export interface VolleyRequest {
  op: 'volley';
  sources: string[];
  targets: { ipv4: string; ipv6: string };
  /** Of each source. */
  count: number;
  periodMs: number;
}

export interface Volley {
  source: string;
  sent: number;
  answered: number;
  /** Answers to what was answered already. */
  repeated: number;
  /** Those who answered, in order of their first answers. */
  servers: string[];
}

export type Request =
  | FetchRequest
  | ProbeRequest
  | StreamsRequest
  | { op: 'probe-state' }
  | { op: 'probe-reset' }
  | { op: 'probe-stop' }
  | { op: 'streams-state' }
  | { op: 'streams-stop' }
  | FlowsRequest
  | { op: 'flows-state' }
  | { op: 'flows-check'; timeoutMs: number }
  | { op: 'flows-forget-gaps' }
  | { op: 'flows-finish'; timeoutMs: number; servers: string[] | null }
  | { op: 'flows-close' }
  | VolleyRequest;

export interface Replies {
  fetch: Fetched[];
  probe: null;
  'probe-state': ProbeState[];
  'probe-reset': null;
  'probe-stop': ProbeReport;
  streams: StreamState[];
  'streams-state': StreamState[];
  'streams-stop': null;
  flows: FlowState[];
  'flows-state': FlowState[];
  'flows-check': FlowState[];
  'flows-forget-gaps': null;
  'flows-finish': FlowState[];
  'flows-close': null;
  volley: Volley[];
}

export interface Envelope {
  id: number;
  request: Request;
}

export interface Answer {
  id: number;
  result?: Replies[keyof Replies];
  error?: string;
}
