// The routes of the control API of an agent.

import { z } from 'zod'
import { Problem } from '../base/problem.ts'
import type { AgentControl } from '../daemon/agent-control.ts'
import { agentStatusSchema, peerSchema } from '../daemon/agent-schemas.ts'
import type { Standing } from '../daemon/friends-and-blocked.ts'
import { probeRoutes } from './health-routes.ts'
import { nothing, type Route } from './route.ts'

const peersSchema = z.strictObject({ peers: z.array(peerSchema) })
const standingsSchema = z.strictObject({
  friends: z.array(z.strictObject({ id: z.string(), name: z.string().nullable() })),
  blocked: z.array(z.strictObject({ id: z.string(), name: z.string().nullable() })),
})
const portsSchema = agentStatusSchema.pick({ forwards: true, exposes: true })
const forwardBody = z.strictObject({ forward: z.string().max(200) })
const stateSchema = z.strictObject({ state: agentStatusSchema.shape.state })
const inviteSchema = z.strictObject({ invite: z.string() })

const peerParam = { peer: 'User ID, or the name of a player whom the agent knows.' }
const findFaults = { 'unknown-peer': 404, ambiguous: 409 } as const
const meetFaults = { ...findFaults, 'not-joined': 409 } as const

export function agentRoutes(control: AgentControl): readonly Route[] {
  const done = (problem: Problem | null) => problem ?? {}
  const state = (result: string | Problem) => (result instanceof Problem ? result : { state: result })
  const get = { method: 'GET', need: 'any-caller' } as const
  const post = { method: 'POST', need: 'any-caller' } as const

  type Words = Pick<Route, 'operationId' | 'summary'>
  const standingRoutes = (
    path: string,
    standing: Standing,
    words: { readonly [method in 'PUT' | 'DELETE']: Words },
  ) =>
    (['PUT', 'DELETE'] as const).map(
      (method): Route => ({
        ...words[method],
        ...{ method, path: `/v1/${path}/:peer`, need: 'any-caller', params: peerParam, answer: nothing },
        faults: { ...findFaults, file: 503 },
        handle: ({ params }) =>
          done(control.setStanding(params.peer ?? '', method === 'PUT' ? standing : 'none')),
      }),
    )

  return [
    {
      ...{ ...get, path: '/v1/status', answer: agentStatusSchema },
      operationId: 'getStatus',
      summary: 'How the agent is: room, mailbox, NAT, ports.',
      handle: () => control.status(),
    },
    {
      ...{ ...get, path: '/v1/peers', answer: peersSchema },
      operationId: 'listPeers',
      summary: 'Whom the agent knows in the room, what is being tried, and how good the links are.',
      handle: () => ({ peers: control.peers() }),
    },
    {
      ...{ ...get, path: '/v1/peers/:peer', answer: peerSchema, params: peerParam, faults: findFaults },
      operationId: 'getPeer',
      summary: 'One of them.',
      handle: ({ params }) => control.peer(params.peer ?? ''),
    },
    {
      ...{ ...post, path: '/v1/peers/:peer/connect', answer: nothing, params: peerParam },
      operationId: 'connectPeer',
      summary:
        'Tries to reach a player, also beyond the number of links wanted. The host is asked first; events tell the rest.',
      faults: { ...meetFaults, blocked: 409 },
      handle: ({ params }) => done(control.connect(params.peer ?? '')),
    },
    {
      ...{ ...post, path: '/v1/peers/:peer/disconnect', answer: nothing, params: peerParam },
      operationId: 'disconnectPeer',
      summary:
        'Ends the link with a player, or the attempt, and lets nothing come of it until connect or the next start.',
      faults: meetFaults,
      handle: ({ params }) => done(control.disconnect(params.peer ?? '')),
    },
    {
      ...{ ...post, path: '/v1/room/join', answer: stateSchema, faults: { leaving: 409, declined: 409 } },
      operationId: 'joinRoom',
      summary: 'Comes back to the room after leaving it; asks the host again when in it.',
      handle: () => state(control.join()),
    },
    {
      ...{ ...post, path: '/v1/room/leave', answer: stateSchema },
      operationId: 'leaveRoom',
      summary: 'Says goodbye to all players and the host. The program goes on, so that it can join again.',
      handle: () => state(control.leave()),
    },
    {
      ...{ ...get, path: '/v1/room/invite', answer: inviteSchema, faults: { 'no-invite': 404 } },
      operationId: 'getInvite',
      summary: 'The invite. Whoever has it can join the room.',
      handle: () =>
        control.invite === null
          ? new Problem('no-invite', 'The agent has no invite to pass on.', 'Ask whoever runs the host.')
          : { invite: control.invite },
    },
    {
      ...{ ...get, path: '/v1/ports', answer: portsSchema },
      operationId: 'listPorts',
      summary: 'Local ports that lead to players, and those that the room may reach.',
      handle: () => {
        const { forwards, exposes } = control.status()
        return { forwards, exposes }
      },
    },
    {
      ...{ ...post, path: '/v1/forwards', body: forwardBody, answer: nothing },
      operationId: 'addForward',
      summary:
        'Opens a local port that leads to a player, written as --forward takes it, until the program ends.',
      faults: { usage: 400, 'not-joined': 409, 'port-taken': 409, network: 503 },
      handle: async ({ body }) =>
        done(await control.addForward((body as z.infer<typeof forwardBody>).forward)),
    },
    {
      ...{ method: 'DELETE', need: 'any-caller', path: '/v1/forwards/:local', answer: nothing },
      params: { local: 'Protocol and local port, such as udp:7000.' },
      operationId: 'removeForward',
      summary: 'Closes such a port. TCP connections under way go on.',
      faults: { 'unknown-forward': 404 },
      handle: async ({ params }) => done(await control.removeForward(params.local ?? '')),
    },
    {
      ...{ ...get, path: '/v1/standings', answer: standingsSchema },
      operationId: 'listStandings',
      summary: 'Who is a friend and who is blocked.',
      handle: () => ({
        friends: control.standings.list('friend'),
        blocked: control.standings.list('blocked'),
      }),
    },
    ...standingRoutes('friends', 'friend', {
      PUT: {
        operationId: 'addFriend',
        summary: 'Makes a player a friend: tried before others. It is remembered.',
      },
      DELETE: { operationId: 'removeFriend', summary: 'Makes a player no friend any more.' },
    }),
    ...standingRoutes('blocked', 'blocked', {
      PUT: {
        operationId: 'blockPeer',
        summary: 'Blocks a player: never tried, never let in, any link ends. It is remembered.',
      },
      DELETE: { operationId: 'unblockPeer', summary: 'Unblocks a player.' },
    }),
    ...probeRoutes(control),
  ]
}
