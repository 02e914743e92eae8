// `peerpost agent`: the program beside the game.

import type { AgentEvent } from '../agent/agent.ts'
import { loadAgentConfig } from '../config/load.ts'
import { readSecret, readSeed } from '../config/secrets.ts'
import { agentRoutes } from '../control/agent-routes.ts'
import { standingsFileOf } from '../control/standings.ts'
import { describeAgentEvent } from '../control/stories.ts'
import { systemClock } from '../net/system-clock.ts'
import { setUpAgent } from '../setup/agent-setup.ts'
import { inviteFrom } from '../setup/invite-text.ts'
import { loadSodium } from '../sodium.ts'
import { prepareControl } from './control.ts'
import { untilStopped } from './lifetime.ts'
import { createReporter } from './output.ts'

export type AgentCommandOptions = {
  readonly config: string
  readonly json?: boolean
  readonly expose?: readonly string[]
  readonly forward?: readonly string[]
}

export async function runAgent(options: AgentCommandOptions): Promise<void> {
  const { stopped } = untilStopped()
  const crypto = await loadSodium()
  const loaded = loadAgentConfig(options.config, process.env)
  const { config, path } = loaded
  const inviteFile = path(config.room.invite_file)
  const control = prepareControl({
    ...{
      clock: systemClock,
      crypto,
      settings: config.control,
      path,
      configFile: options.config,
      json: options.json,
    },
    describe: (event) => describeAgentEvent(event as AgentEvent),
    isMasked: false,
  })
  const agent = setUpAgent({
    ...{ crypto, loaded, exposes: options.expose ?? [], forwards: options.forward ?? [] },
    invite: inviteFrom(crypto, readSecret(inviteFile, 'The invite'), inviteFile),
    identity: crypto.signKeyPair(readSeed(path(config.keys.identity_file), 'Your identity key')),
    standingsFile: standingsFileOf(options.config),
    onEvent: createReporter(options.json, systemClock.wallNow, describeAgentEvent, control.tell),
  })
  const server = await control.start(agentRoutes(agent))
  try {
    await Promise.race([agent.start(), stopped])
    await stopped
    await agent.stop()
  } finally {
    await server?.close()
  }
}
