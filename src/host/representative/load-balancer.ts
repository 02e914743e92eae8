// Which of its workers a representative host gives a letter to: the one that has its sender's, else the one with the
// least to do among those that live. Pure: the clock and what is known of the sender come as arguments.

import type { HostId } from '../../sync/table-sync.ts'

/** After this time a letter counts half. */
const halfLifeMs = 10 * 60_000

type Worker = {
  readonly id: HostId
  /** Letters given to it, those of long ago counting less. */
  load: number
  loadAt: number
  /** Monotonic ms. */
  heardAt: number
  isSilent: boolean
}

export class LoadBalancer {
  readonly #workers: ReadonlyMap<HostId, Worker>

  /** `now` is monotonic ms, here and below. All count as alive at first. */
  constructor(ids: readonly HostId[], now: number) {
    this.#workers = new Map(
      ids.map((id) => [id, { id, load: 0, loadAt: now, heardAt: now, isSilent: false }] as const),
    )
  }

  /** Null only when there is no worker at all. When none lives, letters wait for the one they had. */
  choose(now: number, had: HostId | null, isReachable: (id: HostId) => boolean): HostId | null {
    const known = had === null ? undefined : this.#workers.get(had)
    const living = this.#living(isReachable)
    if (known && (living.length === 0 || living.includes(known))) return known.id
    const among = living.length > 0 ? living : [...this.#workers.values()]
    let least: Worker | null = null
    for (const worker of among) {
      this.#decay(now, worker)
      if (least === null || worker.load < least.load) least = worker
    }
    return least?.id ?? null
  }

  hasLiving(isReachable: (id: HostId) => boolean): boolean {
    return this.#living(isReachable).length > 0
  }

  noteLetter(now: number, id: HostId): void {
    const worker = this.#workers.get(id)
    if (!worker) return
    this.#decay(now, worker)
    worker.load++
  }

  noteSignOfLife(now: number, id: HostId): void {
    const worker = this.#workers.get(id)
    if (!worker) return
    worker.heardAt = now
    worker.isSilent = false
  }

  /** A letter it was given has waited for so long: it is dead unless it was heard meanwhile. Whether it is. */
  noteSilence(now: number, id: HostId, silenceMs: number): boolean {
    const worker = this.#workers.get(id)
    if (!worker) return true
    if (now - worker.heardAt >= silenceMs) worker.isSilent = true
    return worker.isSilent
  }

  #living(isReachable: (id: HostId) => boolean): readonly Worker[] {
    return [...this.#workers.values()].filter(({ id, isSilent }) => !isSilent && isReachable(id))
  }

  #decay(now: number, worker: Worker): void {
    worker.load *= 0.5 ** ((now - worker.loadAt) / halfLifeMs)
    worker.loadAt = now
  }
}
