// `peerpost agent`: the program beside the game.

import type { AgentEvent } from '../agent/agent.ts'
import { agentRoutes } from '../api/agent-routes.ts'
import type { Crypto } from '../base/crypto.ts'
import { changedSettings } from '../config/changed-settings.ts'
import type { AgentConfig } from '../config/config-schema.ts'
import { loadAgentConfig } from '../config/load-config.ts'
import { readSecret, readSeed } from '../config/secret-files.ts'
import type { AgentControl } from '../daemon/agent-control.ts'
import { peersFileOf } from '../daemon/friends-and-blocked.ts'
import { loadSodium } from '../runtime/sodium.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { readConfigured, setUpAgent } from '../setup/create-agent.ts'
import { readHostFolder } from '../setup/host-keys.ts'
import { inviteFrom } from '../setup/parse-invite.ts'
import { inviteForLocalAgent, shareMail } from '../setup/shared-mail.ts'
import { describeAgentEvent } from '../wording/event-text.ts'
import type { Line } from '../wording/numbers-text.ts'
import { describeReload, isReloadEvent, notReloaded, type ReloadEvent } from './config-reload-events.ts'
import { prepareControl } from './daemon-api.ts'
import {
  describeEmbeddedHost,
  type EmbeddedHost,
  type EmbeddedHostEvent,
  isEmbeddedHostEvent,
  loadEmbeddedHost,
  prepareEmbeddedHost,
} from './embedded-host.ts'
import { openLog } from './log.ts'
import { createReporter } from './output.ts'
import { untilStopped } from './shutdown.ts'
import { reloadOnHangUp, serviceManager } from './systemd-service.ts'

export type AgentCommandOptions = {
  readonly config: string
  readonly json?: boolean
  /** Print nothing to standard output. */
  readonly quiet?: boolean
  readonly expose?: readonly string[]
  readonly forward?: readonly string[]
  /** The config of a host to run in the same program. It overrides `[host] config`. */
  readonly host?: string
}

type PrintedEvent = AgentEvent | ReloadEvent | EmbeddedHostEvent

export async function runAgent(options: AgentCommandOptions): Promise<void> {
  const shutdown = untilStopped()
  const { stopped } = shutdown
  const crypto = await loadSodium()
  const loaded = loadAgentConfig(options.config, process.env)
  const { config, path } = loaded
  const hostFile = options.host ?? (config.host.config && path(config.host.config))
  const control = prepareControl({
    clock: systemClock,
    crypto,
    settings: config.control,
    path,
    configFile: options.config,
    json: options.json,
    isMasked: false,
    describe: (event) => describe(event as PrintedEvent),
  })
  const log = await openLog({
    level: config.log.level,
    isQuiet: options.quiet === true,
    describe: (event) => describe(event as PrintedEvent),
  })
  let host: EmbeddedHost | null = null
  const report = createReporter(
    options.json,
    systemClock.wallNow,
    options.quiet ? () => null : describe,
    (printed) => {
      if (isEmbeddedHostEvent(printed)) host?.record(printed)
      else control.record(printed)
      log.record(printed)
    },
  )
  const identity = crypto.signKeyPair(readSeed(path(config.keys.identity_file), 'Your identity key'))
  const folder = hostFile ? readHostFolder(crypto, loadEmbeddedHost(hostFile)) : null
  const notice = (text: string) => report({ event: 'notice', notice: text })
  const shared = folder && shareMail(loaded, folder, identity.publicKey, notice)
  host =
    folder &&
    prepareEmbeddedHost({
      ...{ ...folder, configFile: hostFile, json: options.json, report },
      localAgent: shared?.host ?? null,
      onNotice: notice,
    })
  const agent = setUpAgent({
    crypto,
    loaded,
    exposes: options.expose ?? [],
    forwards: options.forward ?? [],
    identity,
    invite: folder ? inviteForLocalAgent(folder) : readInviteFile(crypto, path(config.room.invite_file)),
    peersFile: peersFileOf(options.config),
    onEvent: report,
    ...(shared && { mail: shared.agent }),
  })
  const manager = serviceManager(notice)
  const server = await control.start(agentRoutes(agent))
  try {
    const failed = reloadOnHangUp(shutdown, manager, async () => {
      report(await reload(options, config, agent))
      await host?.reload()
    })
    await Promise.race([host?.start(), stopped])
    await Promise.race([agent.start(), stopped])
    manager.ready('In the room.')
    await Promise.race([stopped, failed])
    const notified = manager.stopping()
    await agent.stop()
    await notified
  } finally {
    await host?.stop()
    await server?.close()
  }
}

function readInviteFile(crypto: Crypto, file: string) {
  return inviteFrom(crypto, readSecret(file, 'The invite'), file)
}

/** Applies friends, blocked players and forwards at once. Other changes would break links, so they wait for a restart. */
async function reload(
  options: AgentCommandOptions,
  before: AgentConfig,
  agent: AgentControl,
): Promise<ReloadEvent> {
  try {
    const { config } = loadAgentConfig(options.config, process.env)
    await agent.configure(readConfigured(config, options.forward ?? []))
    const rest = changedSettings(before, config).filter((path) => !reloadable.includes(path))
    return { event: 'reloaded', needsRestart: rest }
  } catch (thrown) {
    return notReloaded(thrown)
  }
}

const reloadable = ['peers.friends', 'peers.blocked', 'games.forward']

function describe(event: PrintedEvent): Line | null {
  if (isEmbeddedHostEvent(event)) return describeEmbeddedHost(event)
  return isReloadEvent(event) ? describeReload(event) : describeAgentEvent(event)
}
