// What the tests of the doctor share: a host and an agent in order at real mail servers, copies of them to break, and
// what the doctor says of those.

import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatEndpoint } from '../../src/base/endpoint.ts'
import { PeerpostProcess } from '../../src/cli/child-process.ts'
import { runAllChecks } from '../../src/cli/doctor/all-checks.ts'
import type { CheckName, Finding } from '../../src/cli/doctor/findings.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { type AddressServer, startAddressServer } from '../../src/stun-server/stun-server.ts'
import { type MailServers, startMailServers } from '../harness/mail-servers.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'

export const quotaBytes = 2_000_000
/** A letter through both servers takes half a second. */
const letterMs = 4_000

export class Ward {
  readonly folder = mkdtempSync(join(tmpdir(), 'peerpost-doctor-'))
  readonly mailServers: MailServers
  readonly stun: AddressServer

  private constructor(mailServers: MailServers, stun: AddressServer) {
    this.mailServers = mailServers
    this.stun = stun
  }

  static async open(): Promise<Ward> {
    const mailServers = await startMailServers({ quotaBytes })
    const ward = new Ward(
      mailServers,
      await startAddressServer({ listen: [{ address: '127.0.0.1', port: 0 }] }),
    )
    const servers = ward.stun.endpoints.flatMap((endpoint) => ['--stun', formatEndpoint(endpoint)])
    const hosts = join(ward.folder, 'host')
    const host = ['init', 'host', '--dir', hosts, ...ward.#mailOf('host'), ...servers]
    await PeerpostProcess.run('init host', host)
    const invite = await PeerpostProcess.run('invite', ['invite', '--config', join(hosts, 'host.toml')])
    const agent = ['init', 'agent', '--dir', join(ward.folder, 'agent'), '--invite', invite, '--name', 'anna']
    await PeerpostProcess.run('init agent', [...agent, ...ward.#mailOf('anna')])
    return ward
  }

  /** A copy to break. */
  patient(role: 'host' | 'agent' = 'host'): Patient {
    const dir = mkdtempSync(join(this.folder, 'case-'))
    cpSync(join(this.folder, role), dir, { recursive: true })
    return new Patient(dir, `${role}.toml`)
  }

  mailsOf(user: string): readonly string[] {
    return ['new', 'cur'].flatMap((part) => readdirSync(join(this.mailServers.maildirOf(user), part)))
  }

  /** Puts a mail that is none of ours into a mailbox. */
  drop(user: string, bytes: number): void {
    const head = `From: x@mail.test\r\nTo: ${this.mailServers.address(user)}\r\nSubject: not yours\r\n\r\n`
    const line = `${'x'.repeat(70)}\r\n`
    const text = head + line.repeat(Math.ceil(bytes / line.length))
    const name = `1700000000.M${this.mailsOf(user).length}P1.test,S=${text.length}:2,`
    writeFileSync(join(this.mailServers.maildirOf(user), 'cur', name), text)
  }

  async close(): Promise<void> {
    await this.stun.close()
    await this.mailServers.stop()
    rmSync(this.folder, { recursive: true, force: true })
  }

  #mailOf(user: string): readonly string[] {
    this.mailServers.maildirOf(user)
    const receive = ['--address', this.mailServers.address(user), '--receive', this.mailServers.imapUrl(user)]
    return [...receive, '--send', this.mailServers.smtpUrl(user), '--yes']
  }
}

export class Patient {
  readonly #dir: string
  readonly config: string

  constructor(dir: string, config: string) {
    this.#dir = dir
    this.config = this.path(config)
  }

  path(name: string): string {
    return join(this.#dir, name)
  }

  /** Changes what is there, everywhere for a global expression. */
  change(before: string | RegExp, after: string): this {
    const text = readFileSync(this.config, 'utf8')
    const changed = text.replace(before, () => after)
    assert.notEqual(changed, text, String(before))
    writeFileSync(this.config, changed)
    return this
  }

  async examined(clock = systemClock): Promise<readonly Finding[]> {
    const findings: Finding[] = []
    await runAllChecks(
      {
        ...{ configFile: this.config, environment: {}, clock, crypto: realCrypto, letterMs },
        stopped: new Promise(() => {}),
      },
      { print: (finding) => findings.push(finding), progress: () => {} },
    )
    return findings
  }
}

type ApiError = Extract<Finding, { readonly remedy: string }>

export function faultsOf(findings: readonly Finding[]): readonly ApiError[] {
  return findings.flatMap((finding) => (finding.outcome === 'fault' ? [finding as ApiError] : []))
}

/** The first fault is what is wrong; what follows from it may come after. */
export function assertNamed(
  findings: readonly Finding[],
  check: CheckName,
  text: RegExp,
  remedy: RegExp,
): void {
  const [first] = faultsOf(findings)
  assert.ok(first, 'no fault was found')
  assert.equal(first.check, check, first.text)
  assert.match(first.text, text)
  assert.match(first.remedy, remedy)
}

/** The command as a user runs it. */
export async function runDoctor(
  patient: Patient,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
) {
  const set = Object.entries(environment).map(([name, value]) => `${name}=${value}`)
  const command = ['doctor', '--config', patient.config, ...args]
  const doctor = new PeerpostProcess('doctor', command, undefined, set.length > 0 ? ['env', ...set] : [])
  const code = await doctor.ended
  const findings = doctor.events.filter(({ event }) => event === 'check') as unknown as readonly Finding[]
  const out = doctor.events.map(({ line }) => String(line ?? '')).join('\n')
  return { code, findings, out, err: doctor.errors }
}
