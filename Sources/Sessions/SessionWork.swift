// SPDX-License-Identifier: Apache-2.0
import RESP

/// What one family of commands does between its arguments and its answer.
protocol SessionWork: Sendable {
  /// What to do first, or again. `isFenced`: writes are fenced; only a read is sent at once.
  mutating func start(isFenced: Bool, nowMilliseconds: Int64) -> SessionStep
  /// A script's or command's reply, which is no error.
  mutating func answered(_ answer: RESPValue, nowMilliseconds: Int64) -> SessionStep
  /// Whether a script's reply is the client's in RESP2 as it stands.
  func passes(_ reply: UnsafeRawBufferPointer) -> Bool
  /// Whether a replica has it.
  mutating func confirmed(_ isConfirmed: Bool) -> SessionStep
  /// A pause is over.
  mutating func resumed(nowMilliseconds: Int64) -> SessionStep
  /// Another master: what a scan has seen so far means nothing there.
  mutating func restarted()
  /// The session that it is about now.
  var target: SessionTarget? { get }
  /// See ``SessionOperation/notes``.
  var notes: [SessionNote] { get }
  /// See ``SessionOperation/pendingDenials``.
  var pendingDenials: [PendingDenial] { get }
}

extension SessionWork {
  func passes(_ reply: UnsafeRawBufferPointer) -> Bool { false }
  mutating func confirmed(_ isConfirmed: Bool) -> SessionStep { .unexpected }
  mutating func resumed(nowMilliseconds: Int64) -> SessionStep { .unexpected }
  mutating func restarted() {}
  var target: SessionTarget? { nil }
  var notes: [SessionNote] { [] }
  var pendingDenials: [PendingDenial] { [] }
}

extension SessionStep {
  static let unexpected = SessionStep.reply(
    .error("ERR the session command got an answer it does not know"))

  static func call(
    _ script: Script, keys: [[UInt8]], _ arguments: [[UInt8]], isWrite: Bool = true
  ) -> SessionStep {
    .call(
      RedisCall(
        .script(script, keys: keys, arguments: arguments), replay: isWrite ? .guarded : .read,
        isWrite: isWrite))
  }
}

/// Answers without Redis.
struct Settled: SessionWork {
  let reply: SessionReply

  mutating func start(isFenced: Bool, nowMilliseconds: Int64) -> SessionStep { .reply(reply) }
  mutating func answered(_ answer: RESPValue, nowMilliseconds: Int64) -> SessionStep { .unexpected }
}

/// One call whose answer needs no more than another form.
struct SingleCall: SessionWork {
  let call: RedisCall
  let translate: @Sendable (ScriptAnswer) -> SessionReply?

  init(
    _ script: Script, keys: [[UInt8]], _ arguments: [[UInt8]], isWrite: Bool = true,
    _ translate: @escaping @Sendable (ScriptAnswer) -> SessionReply?
  ) {
    call = RedisCall(
      .script(script, keys: keys, arguments: arguments), replay: isWrite ? .guarded : .read,
      isWrite: isWrite)
    self.translate = translate
  }

  mutating func start(isFenced: Bool, nowMilliseconds: Int64) -> SessionStep { .call(call) }

  mutating func answered(_ answer: RESPValue, nowMilliseconds: Int64) -> SessionStep {
    ScriptAnswer(answer).flatMap(translate).map { .reply($0) } ?? .unexpected
  }
}

/// The session that a command names, and its successors within their grace.
struct SessionTarget: Sendable, Equatable {
  private(set) var id: SessionID
  /// `h`, see ``SessionID/stored(as:)``.
  private(set) var stored: [UInt8]
  /// How often it was followed to a successor.
  private(set) var hops = 0
  private let storage: SessionConfiguration.IDStorage

  /// So many regenerations within one grace period are followed.
  static let hopsMax = 8

  init(_ id: SessionID, _ storage: SessionConfiguration.IDStorage) {
    self.id = id
    self.storage = storage
    stored = id.stored(as: storage)
  }

  /// Goes to the successor; false if it cannot be opened or the chain is too long.
  mutating func follow(_ sealed: [UInt8]) -> Bool {
    guard hops < Self.hopsMax, let next = Seal.open(sealed, under: id) else { return false }
    id = next
    stored = next.stored(as: storage)
    hops += 1
    return true
  }

  var member: [UInt8] { IndexMember.session(stored) }
}

/// A script's answer: a word that says how it went, and values.
struct ScriptAnswer {
  /// How it went.
  enum Word: String {
    case ok = "OK"
    case none = "NONE"
    case moved = "MOVED"
    case mismatch = "MISMATCH"
    case conflict = "CONFLICT"
    case lockLost = "LOCKLOST"
    case limit = "LIMIT"
  }

  let word: Word
  private let values: ArraySlice<RESPValue>

  init?(_ answer: RESPValue) {
    guard let elements = answer.elements, let word = elements.first?.text.flatMap(Word.init)
    else { return nil }
    self.word = word
    values = elements.dropFirst()
  }

  /// The value at a place behind the word; null where there is none.
  subscript(_ place: Int) -> RESPValue {
    place + 1 < values.endIndex ? values[place + 1] : .null
  }

  func bytes(_ place: Int) -> [UInt8]? {
    guard case .bulk(let bytes) = self[place] else { return nil }
    return bytes
  }

  func integer(_ place: Int) -> Int64? { self[place].integerValue }

  /// All values behind the word.
  var rest: [RESPValue] { Array(values) }
}
