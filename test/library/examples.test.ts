// Runs the examples of docs/ unchanged, with a host that runs as a user would run it.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { type Defer, deferIn } from '../harness/defer.ts'
import { TestDeployment } from '../harness/test-deployment.ts'

const timeout = 180_000

/** A running example and the lines it has printed. It is run as docs/library.md says. */
class Example {
  readonly lines: string[] = []
  readonly ended: Promise<number | null>
  readonly child: ChildProcess
  errors = ''
  #wake = () => {}

  constructor(defer: Defer, file: string, config: string) {
    const args = ['--conditions=peerpost-source', `docs/examples/${file}`, config]
    this.child = spawn(process.execPath, args, { stdio: 'pipe' })
    defer(() => this.child.kill('SIGKILL'))
    this.ended = new Promise((resolve) => this.child.on('close', resolve))
    if (this.child.stdout)
      createInterface({ input: this.child.stdout }).on('line', (line) => {
        this.lines.push(line)
        this.#wake()
      })
    this.child.stderr?.on('data', (text) => {
      this.errors += String(text)
    })
    void this.ended.then(() => this.#wake())
  }

  /** Waits for the first line, from index `from` on, that matches. */
  async line(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    for (;;) {
      const found = this.lines.slice(from).map((line) => pattern.exec(line))
      const first = found.find((match) => match !== null)
      if (first) return first
      assert.equal(this.child.exitCode, null, `it ended without ${pattern}: ${this.errors}`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
      })
    }
  }

  say(text: string): void {
    this.child.stdin?.write(text)
  }
}

test('three players chat with each other', { timeout }, async (context) => {
  const defer = deferIn(context)
  const deployment = await TestDeployment.withHost(defer)
  const names = ['anna', 'ben', 'carla']
  const chats = new Map<string, Example>()
  for (const name of names) {
    await deployment.makeAgent(name)
    const chat = new Example(defer, 'chat.ts', deployment.agentConfig(name))
    await chat.line(/write lines/)
    chats.set(name, chat)
  }
  for (const [name, chat] of chats)
    for (const other of names.filter((other) => other !== name))
      await chat.line(new RegExp(`^\\* ${other} is here$`))
  for (const [name, chat] of chats) chat.say(`hello from ${name}\nand a bell\x07\n`)
  for (const [name, chat] of chats)
    for (const other of names.filter((other) => other !== name)) {
      await chat.line(new RegExp(`^${other}: hello from ${other}$`))
      await chat.line(new RegExp(`^${other}: and a bell$`))
    }
  const carla = chats.get('carla') as Example
  carla.child.stdin?.end()
  assert.equal(await carla.ended, 0)
  assert.equal(carla.errors, '')
  for (const name of ['anna', 'ben']) await chats.get(name)?.line(/^\* carla is gone$/)
})

test('two players see where the other is, many times a second', { timeout }, async (context) => {
  const defer = deferIn(context)
  const deployment = await TestDeployment.withHost(defer)
  await Promise.all([deployment.makeAgent('anna'), deployment.makeAgent('ben')])
  const anna = new Example(defer, 'dots.ts', deployment.agentConfig('anna'))
  await anna.line(/^me /)
  const ben = new Example(defer, 'dots.ts', deployment.agentConfig('ben'))
  const seen = /ben (\d\.\d+) (\d\.\d+), (\d+)\/s/
  const first = await anna.line(/ben \d\.\d+ \d\.\d+, [2-9]\d\/s/)
  await ben.line(/anna \d\.\d+ \d\.\d+, [2-9]\d\/s/)
  const later = await anna.line(seen, anna.lines.indexOf(first.input) + 1)
  assert.notDeepEqual(seen.exec(first.input)?.slice(1, 3), later.slice(1, 3), 'the dot moves')
  context.diagnostic(later.input)

  // Anna sees a position that ben had not long ago. He moves by 0.3 and 0.2 a second.
  const positions = ben.lines.flatMap((line) => {
    const [, x, y] = /^me (-?\d\.\d+) (-?\d\.\d+)/.exec(line) ?? []
    return x && y ? [[Number(x), Number(y)] as const] : []
  })
  const [x, y] = [Number(later[1]), Number(later[2])]
  assert.ok(
    positions.some(([px, py]) => Math.abs(px - x) < 0.5 && Math.abs(py - y) < 0.35),
    `${x} ${y} is none of ${positions}`,
  )
  ben.child.kill('SIGINT')
  assert.equal(await ben.ended, 0)
  assert.equal(ben.errors, '')
  await anna.line(/^ben leaves$/)
})
