// Cuts a host off from its clock, mailbox and sender, as if its process had been killed.

import type { Mailbox } from '../../src/mail/mailbox.ts'
import type { MailSender } from '../../src/mail/sender.ts'
import type { VirtualClock } from '../harness/virtual-clock.ts'
import { StoppableClock } from '../harness/world/stoppable-clock.ts'

export class KillSwitch {
  /** The clock that the host uses. */
  readonly clock: StoppableClock

  constructor(clock: VirtualClock) {
    this.clock = new StoppableClock(clock)
  }

  cut(): void {
    this.clock.cut()
  }

  mailbox(mailbox: Mailbox): Mailbox {
    return this.#whileAlive(mailbox)
  }

  sender(sender: MailSender): MailSender {
    return this.#whileAlive(sender)
  }

  /** A call that runs at the cut never returns, and a later call never starts. */
  #whileAlive<T extends object>(target: T): T {
    const never = new Promise<never>(() => {})
    return new Proxy(target, {
      get: (from, name) => {
        const value: unknown = Reflect.get(from, name)
        if (typeof value !== 'function') return value
        return (...given: unknown[]) => {
          if (!this.clock.isRunning) return never
          const result: unknown = value.apply(from, given)
          return result instanceof Promise
            ? result.then((settled: unknown) => (this.clock.isRunning ? settled : never))
            : result
        }
      },
      set: (from, name, value) => Reflect.set(from, name, value),
    })
  }
}
