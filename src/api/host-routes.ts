// The routes of the control API of a host.

import type { HostControl } from '../daemon/host-control.ts'
import { hostStatusSchema } from '../daemon/host-schemas.ts'
import { probeRoutes } from './health-routes.ts'
import { hostAdminRoutes } from './host-admin-routes.ts'
import type { Route } from './route.ts'

export function hostRoutes(control: HostControl): readonly Route[] {
  return [
    {
      ...{ method: 'GET', path: '/v1/status', need: 'any-caller', answer: hostStatusSchema },
      operationId: 'getStatus',
      summary: 'How the host is: mailbox, table, letters, mails.',
      faults: { database: 503 },
      handle: () => control.status(),
    },
    ...hostAdminRoutes(control),
    ...probeRoutes(control),
  ]
}
