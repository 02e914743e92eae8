// A representative host and its workers as processes over real mail servers: in place 0 the representative, then they.

import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPostOffice } from '../harness/post-office.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { Crew, gatherAgents } from './crew.ts'
import { subject } from './fakes.ts'
import type { RealHostOptions } from './real-host.ts'
import { type HostSeedsAt, makeSeeds } from './seeds.ts'

export async function gatherRepresented(
  agentCount: number,
  workerCount: number,
  settings: RealHostOptions['settings'],
): Promise<Crew> {
  const office = await startPostOffice()
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-represented-'))
  const front = makeSeeds(realCrypto)
  const { agents, roomTagHex } = gatherAgents(agentCount, front)
  const workerNames = Array.from({ length: workerCount }, (_, index) => `worker${index}`)
  const cardOf = (user: string): HostSeedsAt => ({ ...makeSeeds(realCrypto), address: office.address(user) })
  const representative = cardOf('meet')
  const workers = workerNames.map(cardOf)
  const optionsOf = (place: number): RealHostOptions => {
    const worker = workers[place - 1]
    const user = workerNames[place - 1] ?? 'meet'
    return {
      ...(worker
        ? {
            ...worker,
            roomTagHex,
            hosts: workers.filter((other) => other !== worker),
            represents: { ...front, representative },
          }
        : { ...representative, workers }),
      subject,
      imapUrl: office.imapUrl(user),
      smtpUrl: office.smtpUrl(user),
      database: join(folder, `${user}.db`),
      settings,
    }
  }
  return new Crew({ office, folder, agents, optionsOf, mailboxes: ['meet', ...workerNames] })
}
