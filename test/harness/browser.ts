// Debian's Chromium, driven by playwright-core, with a profile of its own that is thrown away.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type BrowserContext, type Browser as Chromium, chromium, type Page } from 'playwright-core'
import type { Defer } from './defer.ts'
import { findProgram } from './needs.ts'

export type { Page } from 'playwright-core'

/** Not in git: what the pages looked like. */
const output = 'test-output/pages'

const flags = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** One for a whole file of tests. */
export class Browser {
  readonly #chromium: Chromium

  private constructor(started: Chromium) {
    this.#chromium = started
  }

  static async open(): Promise<Browser> {
    mkdirSync(output, { recursive: true })
    const executablePath = findProgram('chromium')
    if (!executablePath) throw new Error('there is no chromium')
    return new Browser(await chromium.launch({ executablePath, headless: true, args: flags }))
  }

  /** Somebody who has no cookies yet. */
  async visitor(defer: Defer): Promise<Visitor> {
    const context = await this.#chromium.newContext({
      viewport: { width: 1280, height: 900 },
      permissions: ['clipboard-read', 'clipboard-write'],
    })
    defer(() => context.close())
    return new Visitor(context)
  }

  async close(): Promise<void> {
    await this.#chromium.close()
  }
}

export class Visitor {
  readonly #context: BrowserContext

  constructor(context: BrowserContext) {
    this.#context = context
  }

  /** A new tab. `complaints` gathers what goes wrong in it: errors, refused by the policy, requests elsewhere. */
  async tab(): Promise<{ readonly page: Page; readonly complaints: string[] }> {
    const page = await this.#context.newPage()
    page.setDefaultTimeout(30_000)
    const complaints: string[] = []
    page.on('pageerror', (error) => complaints.push(`error: ${error.message}`))
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(`console: ${message.text()}`)
    })
    return { page, complaints }
  }

  async shoot(page: Page, name: string): Promise<void> {
    await page.screenshot({ path: join(output, `${name}.png`), fullPage: true })
  }
}
