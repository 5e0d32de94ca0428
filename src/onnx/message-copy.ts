// Copies of protobuf messages that share what they do not change: a model of gigabytes is patched, not duplicated.

/** Return a message with other fields; fields that are not set are on its prototype, so a spread would lose them. */
export function shallowCopy<Message extends object>(message: Message, fields: Partial<Message>): Message {
  return Object.assign(Object.create(Object.getPrototypeOf(message)), message, fields);
}
