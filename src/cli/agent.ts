// `peerpost agent`: the program beside the game.

import type { AgentEvent } from '../agent/agent.ts'
import { changedSettings } from '../config/changes.ts'
import { loadAgentConfig } from '../config/load.ts'
import type { AgentConfig } from '../config/schema.ts'
import { readSecret, readSeed } from '../config/secrets.ts'
import type { AgentControl } from '../control/agent-control.ts'
import { agentRoutes } from '../control/agent-routes.ts'
import { standingsFileOf } from '../control/standings.ts'
import { describeAgentEvent } from '../control/stories.ts'
import type { Line } from '../control/words.ts'
import { systemClock } from '../net/system-clock.ts'
import { readConfigured, setUpAgent } from '../setup/agent-setup.ts'
import { inviteFrom } from '../setup/invite-text.ts'
import { loadSodium } from '../sodium.ts'
import { prepareControl } from './control.ts'
import { untilStopped } from './lifetime.ts'
import { openLog } from './log.ts'
import { createReporter } from './output.ts'
import { describeReload, isReloadEvent, notReloaded, type ReloadEvent } from './reload.ts'
import { reloadOnHangUp, serviceManager } from './service.ts'

export type AgentCommandOptions = {
  readonly config: string
  readonly json?: boolean
  /** Nothing on standard output. */
  readonly quiet?: boolean
  readonly expose?: readonly string[]
  readonly forward?: readonly string[]
}

type ToldEvent = AgentEvent | ReloadEvent

export async function runAgent(options: AgentCommandOptions): Promise<void> {
  const lifetime = untilStopped()
  const { stopped } = lifetime
  const crypto = await loadSodium()
  const loaded = loadAgentConfig(options.config, process.env)
  const { config, path } = loaded
  const inviteFile = path(config.room.invite_file)
  const control = prepareControl({
    ...{ clock: systemClock, crypto, settings: config.control, path },
    ...{ configFile: options.config, json: options.json, isMasked: false },
    describe: (event) => describe(event as ToldEvent),
  })
  const log = await openLog({ level: config.log.level, describe: (event) => describe(event as ToldEvent) })
  const report = createReporter(
    options.json,
    systemClock.wallNow,
    options.quiet ? () => null : describe,
    (told) => {
      control.tell(told)
      log.tell(told)
    },
  )
  const agent = setUpAgent({
    ...{ crypto, loaded, exposes: options.expose ?? [], forwards: options.forward ?? [] },
    invite: inviteFrom(crypto, readSecret(inviteFile, 'The invite'), inviteFile),
    identity: crypto.signKeyPair(readSeed(path(config.keys.identity_file), 'Your identity key')),
    standingsFile: standingsFileOf(options.config),
    onEvent: report,
  })
  const manager = serviceManager((notice) => report({ event: 'notice', notice }))
  const server = await control.start(agentRoutes(agent))
  try {
    void reloadOnHangUp(lifetime, manager, async () => report(await reload(options, config, agent)))
    await Promise.race([agent.start(), stopped])
    manager.ready('In the room.')
    await stopped
    const told = manager.stopping()
    await agent.stop()
    await told
  } finally {
    await server?.close()
  }
}

/** Friends, blocked players and forwards change at once; a link to a game is not broken for the rest. */
async function reload(
  options: AgentCommandOptions,
  before: AgentConfig,
  agent: AgentControl,
): Promise<ReloadEvent> {
  try {
    const { config } = loadAgentConfig(options.config, process.env)
    await agent.configure(readConfigured(config, options.forward ?? []))
    const rest = changedSettings(before, config).filter((path) => !changeAtOnce.includes(path))
    return { event: 'reloaded', needsRestart: rest }
  } catch (thrown) {
    return notReloaded(thrown)
  }
}

const changeAtOnce = ['peers.friends', 'peers.blocked', 'games.forward']

function describe(event: ToldEvent): Line | null {
  return isReloadEvent(event) ? describeReload(event) : describeAgentEvent(event)
}
