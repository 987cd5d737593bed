// A `.proto` file, read while a bundle is packed: what light-proto-loader.ts needs of it.
import path from 'node:path';
import { loadSync } from '@grpc/proto-loader';
import protobuf, { type INamespace, type ReflectionObject, type Service } from 'protobufjs';

export interface PackedMethod {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  /** Under this name, too, a client has it. */
  readonly originalName: string | undefined;
  /** Full names of messages. */
  readonly requestType: string;
  readonly responseType: string;
}

/** Plain data. */
export interface PackedProto {
  /** Its name. */
  readonly file: string;
  /** The messages, as protobufjs describes them. */
  readonly messages: INamespace;
  /** By the service's full name and the method's. */
  readonly services: Readonly<Record<string, Readonly<Record<string, PackedMethod>>>>;
}

/**
 * With fields' names as they are in the file.
 * @throws Error where it can't be read
 */
export function packProto(file: string): PackedProto {
  const root = new protobuf.Root().loadSync(file, { keepCase: true });
  root.resolveAll();
  const services: Record<string, Record<string, PackedMethod>> = {};
  for (const [name, definition] of Object.entries(loadSync(file, { keepCase: true }))) {
    // A message, or an enum.
    if ('format' in definition) continue;
    const service = root.lookupService(name);
    services[name] = Object.fromEntries(
      Object.entries(definition).map(([method, { path, requestStream, responseStream, originalName }]) => {
        const call = { path, requestStream: requestStream === true, responseStream: responseStream === true };
        return [method, { ...call, originalName, ...typesOf(service, method) }];
      }),
    );
    service.parent?.remove(service);
  }
  return { file: path.basename(file), messages: root.toJSON(), services };
}

function typesOf(service: Service, name: string): Pick<PackedMethod, 'requestType' | 'responseType'> {
  const method = service.methods[name];
  return { requestType: fullName(method?.resolvedRequestType), responseType: fullName(method?.resolvedResponseType) };
}

function fullName(type: ReflectionObject | null | undefined): string {
  if (type === null || type === undefined) throw new Error('a method without a message');
  return type.fullName;
}
