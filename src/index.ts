// What `import … from 'peerpost'` gives (docs/library.md). Only what stands here is public.

import './library/node-check.ts'

export { Problem, type ProblemCode } from './base/problem.ts'
export type { PeerStatus } from './daemon/agent-schemas.ts'
export type { Standing } from './daemon/friends-and-blocked.ts'
export type { HostCounters } from './host/events.ts'
export { Agent, type AgentStatus, type NamedServiceOptions } from './library/agent.ts'
export type { AgentEvent, AgentEvents, HostEvent, HostEvents } from './library/events.ts'
export { Host } from './library/host.ts'
export type { AgentOptions, AgentSettings, ConfigFile, HostOptions, HostSettings } from './library/options.ts'
export type { Peer } from './library/peer.ts'
