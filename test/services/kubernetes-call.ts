import { readFileSync } from 'node:fs'
import { request } from 'node:https'
import { type JsonObject, parseObject } from './json-object.ts'

export interface KubernetesAnswer {
  readonly status: number
  /** Empty where the answer is no JSON object. */
  readonly body: JsonObject
}

interface KubernetesCall {
  readonly caFile: string
  readonly token: string
  /** `APPLY`: a PATCH that is a server-side apply. */
  readonly method: string
  readonly path: string
  readonly body: object | undefined
}

/** One request to an API server, on a connection of its own. @throws {Error} if it is not reached. */
export async function callKubernetes(
  server: string,
  { caFile, token, method, path, body }: KubernetesCall,
): Promise<KubernetesAnswer> {
  const isApply = method === 'APPLY'
  return new Promise((resolve, reject) => {
    const call = request(
      `${server}${path}`,
      {
        method: isApply ? 'PATCH' : method,
        agent: false,
        ca: readFileSync(caFile),
        headers: {
          authorization: `Bearer ${token}`,
          'content-type': isApply ? 'application/apply-patch+yaml' : 'application/json',
        },
      },
      (response) => {
        let text = ''
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part
        })
        response.on('error', reject)
        response.on('end', () => {
          const isJson = text.startsWith('{')
          resolve({ status: response.statusCode ?? 0, body: isJson ? parseObject(text) : {} })
        })
      },
    )
    call.on('error', reject)
    call.end(body === undefined ? undefined : JSON.stringify(body))
  })
}
