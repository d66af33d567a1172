import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import { isObject, objectAt, textAt } from '../../services/json-object.ts'

/** What users give Weir: the ClusterRoles of `deploy/`, bound to the user `weir`. */
export function weirsOwnRbac(): object[] {
  const path = join(import.meta.dirname, '../../../deploy/weir.yaml')
  const documents = parseAllDocuments(readFileSync(path, 'utf8'))
  const objects = documents.map((document): unknown => document.toJS()).filter(isObject)
  const roles = objects.filter(({ kind }) => kind === 'ClusterRole')
  return roles.flatMap((role) => [role, bindingOf(textAt(objectAt(role, 'metadata'), 'name'))])
}

/** A ClusterRole of that name with one rule, bound to the user `weir`. */
export function rbacFor(
  name: string,
  apiGroups: readonly string[],
  resources: readonly string[],
  verbs: readonly string[],
): object[] {
  const role = {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name },
    rules: [{ apiGroups, resources, verbs }],
  }
  return [role, bindingOf(name)]
}

function bindingOf(name: string): object {
  const apiGroup = 'rbac.authorization.k8s.io'
  return {
    apiVersion: `${apiGroup}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: { name },
    roleRef: { apiGroup, kind: 'ClusterRole', name },
    subjects: [{ apiGroup, kind: 'User', name: 'weir' }],
  }
}

export function namespace(name: string): object {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name } }
}

export function service(name: string, labels: Readonly<Record<string, string>> = {}): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'shop', labels },
    spec: { ports: [{ port: 80 }] },
  }
}

export function httpRoute(name: string): object {
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name, namespace: 'shop' },
    spec: { rules: [{ matches: [{ path: { type: 'PathPrefix', value: `/${name}` } }] }] },
  }
}

export function configMap(name: string, text: string): object {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name, namespace: 'shop' },
    data: { definition: text },
  }
}
