// In bundles what @grpc/proto-loader is elsewhere: the services of a `.proto` file that was read while the bundle was
// packed. The loader itself reads it at each start, and writes descriptors of all its messages for servers that offer
// reflection: more than half of what it takes to import `recover`.
import protobuf, { type IConversionOptions, type Root, type Type } from 'protobufjs/light.js';
import type { PackedMethod, PackedProto } from './packed-proto.ts';

/** As @grpc/grpc-js takes it from @grpc/proto-loader, without what is for reflection. */
interface MethodDefinition extends Omit<PackedMethod, 'requestType' | 'responseType'> {
  readonly requestSerialize: (message: object) => Buffer;
  readonly requestDeserialize: (bytes: Uint8Array) => object;
  readonly responseSerialize: (message: object) => Buffer;
  readonly responseDeserialize: (bytes: Uint8Array) => object;
}

/** The service's methods by name. */
type ServiceDefinition = Readonly<Record<string, MethodDefinition>>;

export interface ProtoLoader {
  /**
   * @param file of any folder
   * @param options those of @grpc/proto-loader; `keepCase` was heeded while packing
   * @returns the services alone, by their full names
   * @throws Error where that file was not packed
   */
  readonly loadSync: (file: string, options: IConversionOptions) => Readonly<Record<string, ServiceDefinition>>;
}

export function lightProtoLoader({ file: packed, messages, services }: PackedProto): ProtoLoader {
  return {
    loadSync: (file, options) => {
      if (file.split('/').at(-1) !== packed) throw new Error(`expected ${packed}, found ${file}: it is not packed`);
      const root = protobuf.Root.fromJSON(messages);
      return mapValues(services, (methods) => mapValues(methods, (method) => definitionOf(root, method, options)));
    },
  };
}

function definitionOf(
  root: Root,
  { requestType, responseType, ...method }: PackedMethod,
  options: IConversionOptions,
): MethodDefinition {
  // Code for a message is made when it is first sent or read: for most of them never.
  const request = () => root.lookupType(requestType);
  const response = () => root.lookupType(responseType);
  return {
    ...method,
    requestSerialize: (message) => serialize(request(), message),
    requestDeserialize: (bytes) => deserialize(request(), bytes, options),
    responseSerialize: (message) => serialize(response(), message),
    responseDeserialize: (bytes) => deserialize(response(), bytes, options),
  };
}

/** @throws Error where it is no such message */
function serialize(type: Type, message: object): Buffer {
  if (Array.isArray(message)) throw new Error(`expected an object of the structure ${type.name}, found an array`);
  // In Node what protobufjs writes is a Buffer.
  return Buffer.from(type.encode(type.fromObject(message)).finish());
}

function deserialize(type: Type, bytes: Uint8Array, options: IConversionOptions): object {
  return type.toObject(type.decode(bytes), options);
}

function mapValues<From, To>(
  record: Readonly<Record<string, From>>,
  map: (value: From) => To,
): Readonly<Record<string, To>> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}
