// Debian's Chromium, controlled by playwright-core, with a temporary profile.

import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type BrowserContext, type Browser as Chromium, chromium, type Page } from 'playwright-core'
import type { Defer } from './defer.ts'
import { findProgram } from './needs.ts'

export type { Page } from 'playwright-core'

/** Folder for screenshots of the pages; not in git. */
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

/** One browser per test file. */
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

  /** A visitor without cookies. */
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

  /** A new tab. `complaints` collects its errors, violations of the policy, and requests to other hosts. */
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
