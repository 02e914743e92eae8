// `peerpost control openapi`: the control API described for programs, without a running daemon.

import { type ApiKind, openApiDocument } from '../api/openapi-documents.ts'

export function printOpenApi(kind: ApiKind): void {
  process.stdout.write(`${JSON.stringify(openApiDocument(kind), null, 2)}\n`)
}
