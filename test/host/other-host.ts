// A host that the stage's host knows by its key, and that may say anything.

import type { KeyPair } from '../../src/base/crypto.ts'
import type { Statement, TableLetter } from '../../src/letter/letter-types.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { FakeAgent } from './fakes.ts'
import { Stage } from './stage.ts'

export class OtherHost extends FakeAgent {
  readonly known

  constructor(stage: Stage) {
    super('other', stage.keys, stage.room)
    const sealing: KeyPair = realCrypto.boxKeyPair()
    this.sessions.push(sealing)
    this.known = { address: this.address, identity: this.id, sealingKey: sealing.publicKey }
  }

  table(stage: Stage, ...statements: readonly Statement[]): TableLetter {
    return { ...this.head(stage.now), kind: 'table', statements, introduce: [] }
  }

  /** Told as what the agent signed. */
  tell(stage: Stage, ...statements: readonly Statement[]): void {
    stage.deliver(this.mail(this.table(stage, ...statements)))
  }
}

export async function withNeighbour(settings = {}): Promise<{ stage: Stage; other: OtherHost }> {
  const stage = new Stage(settings)
  const other = new OtherHost(stage)
  stage.hosts = [other.known]
  stage.host = stage.makeHost()
  await stage.start()
  return { stage, other }
}
