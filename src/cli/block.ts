// `peerpost block`: blocks an agent from all rooms of a host, or unblocks it.

import { Problem } from '../base/problem.ts'
import { loadHostConfig } from '../config/load-config.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { blockAgent, type ListedBlock, listBlocked, unblockAgent } from '../setup/blocked-agents.ts'
import { blockFields } from '../setup/host-admin.ts'
import { paint, printEvent, table } from './output.ts'

export type BlockOptions = {
  readonly config: string
  readonly list?: boolean
  readonly remove?: boolean
  readonly json?: boolean
}

export async function runBlock(who: string | undefined, options: BlockOptions): Promise<void> {
  const loaded = loadHostConfig(options.config, process.env)
  const now = systemClock.wallNow()
  if (options.list) return show(listBlocked(loaded), options)
  if (who === undefined) {
    throw new Problem(
      'usage',
      'No agent was named.',
      'Name an agent by its user ID or nickname, or use --list.',
    )
  }
  const one = options.remove ? unblockAgent(loaded, who) : blockAgent(loaded, who, now)
  if (options.json) printEvent(now, options.remove ? 'unblocked' : 'blocked', { id: one.id, name: one.name })
  else {
    const name = one.name === '' ? one.id : `${one.name} (${one.id})`
    const [done, then] = options.remove
      ? ['Unblocked', 'It may join again with an invite.']
      : ['Blocked', 'It is out of all rooms. Its open links stay open.']
    process.stdout.write(`${paint('good', `${done} ${name}.`)} ${then}\n`)
  }
}

function show(all: readonly ListedBlock[], { json }: BlockOptions): void {
  if (json) {
    for (const one of all) printEvent(systemClock.wallNow(), 'blocked', blockFields(one))
    return
  }
  const rows = all.map(({ id, name, blockedAt }) => ({
    tone: 'plain' as const,
    cells: [new Date(blockedAt).toISOString().slice(0, 10), id, name],
  }))
  process.stdout.write(
    rows.length === 0 ? 'Nobody is blocked.\n' : `${table(['SINCE', 'ID', 'NAME'], rows)}\n`,
  )
}
