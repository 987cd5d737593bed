// Lets @peculiar/x509 load: its container (tsyringe) refuses to without Reflect.getMetadata, though nothing in x509
// takes injected parameters, so that "no metadata" is the whole answer. Must be imported before x509.

for (const name of ['getMetadata', 'getOwnMetadata', 'defineMetadata']) {
  if (!Reflect.has(Reflect, name)) {
    Object.defineProperty(Reflect, name, { value: () => undefined, configurable: true, writable: true });
  }
}
