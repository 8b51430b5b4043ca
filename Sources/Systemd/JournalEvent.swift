// SPDX-License-Identifier: Apache-2.0

/// How grave an event is, as in syslog.
public enum Priority: Int, Sendable, Comparable, CaseIterable {
  /// Unusable.
  case emergency = 0
  /// To be acted on at once.
  case alert
  /// A critical failure.
  case critical
  /// A failure.
  case error
  /// What may become a failure.
  case warning
  /// Normal, but to be known.
  case notice
  /// What happens.
  case info
  /// For whoever works on Holdfast.
  case debug

  /// Its name in syslog.
  public var name: String {
    switch self {
    case .emergency: "emerg"
    case .alert: "alert"
    case .critical: "crit"
    case .error: "err"
    case .warning: "warning"
    case .notice: "notice"
    case .info: "info"
    case .debug: "debug"
    }
  }

  /// The graver is the smaller, as in syslog.
  public static func < (left: Priority, right: Priority) -> Bool { left.rawValue < right.rawValue }
}

/// One structured log event; holds no secrets and no session ids.
public struct JournalEvent: Sendable {
  /// How grave it is.
  public var priority: Priority
  /// Its kind; `nil` for what nobody searches for.
  public var messageID: Event?
  /// One line for people.
  public var message: String
  /// Journal fields: names of capitals, digits and underscores, beginning with a capital.
  public var fields: [(String, String)]
  /// Where it was made.
  public var file: StaticString
  /// Where it was made.
  public var line: Int
  /// Where it was made.
  public var function: StaticString

  /// An event of this place in the source.
  public init(
    priority: Priority, messageID: Event? = nil, message: String,
    fields: [(String, String)] = [], file: StaticString = #fileID, line: Int = #line,
    function: StaticString = #function
  ) {
    self.priority = priority
    self.messageID = messageID
    self.message = message
    self.fields = fields
    self.file = file
    self.line = line
    self.function = function
  }
}

extension JournalEvent {
  /// Every journal field, `MESSAGE` first.
  var allFields: [(String, String)] {
    var all = [("MESSAGE", message), ("PRIORITY", "\(priority.rawValue)")]
    if let messageID { all.append(("MESSAGE_ID", messageID.rawValue)) }
    all += [("CODE_FILE", "\(file)"), ("CODE_LINE", "\(line)"), ("CODE_FUNC", "\(function)")]
    return all + fields.map { (Self.fieldName($0.0), $0.1) }
  }

  /// The journal drops fields with other names silently.
  static func fieldName(_ name: String) -> String {
    let letters = name.unicodeScalars.prefix(64).map { scalar -> Character in
      switch scalar {
      case "A"..."Z", "0"..."9", "_": Character(scalar)
      case "a"..."z": Character(String(scalar).uppercased())
      default: "_"
      }
    }
    let start = letters.firstIndex { "A"..."Z" ~= $0 } ?? letters.endIndex
    return start == letters.endIndex ? "FIELD" : String(letters[start...])
  }

  /// For a service manager that reads standard error: `<N>` and one line.
  var prefixedLine: String {
    let id = messageID.map { " MESSAGE_ID=\($0.rawValue)" } ?? ""
    return "<\(priority.rawValue)>\(Self.singleLine(message))\(fieldsText)\(id)\n"
  }

  /// For people at a terminal.
  func terminalLine(time: String, isColoured: Bool) -> String {
    let (name, colour) = Self.terminalName(priority)
    let text = "\(Self.singleLine(message))\(fieldsText)"
    return isColoured
      ? "\(time) \u{1b}[\(colour)m\(name)\u{1b}[0m \(text)\n" : "\(time) \(name) \(text)\n"
  }

  private var fieldsText: String {
    fields.map { name, value in
      let value = Self.singleLine(value)
      return value.contains(" ")
        ? " \(Self.fieldName(name))=\"\(value)\"" : " \(Self.fieldName(name))=\(value)"
    }.joined()
  }

  private static func terminalName(_ priority: Priority) -> (name: String, colour: Int) {
    switch priority {
    case .emergency, .alert, .critical: ("FATAL ", 31)
    case .error: ("ERROR ", 31)
    case .warning: ("WARN  ", 33)
    case .notice: ("NOTICE", 36)
    case .info: ("INFO  ", 32)
    case .debug: ("DEBUG ", 90)
    }
  }

  /// What others sent (names, error texts) must neither begin a line nor steer a terminal.
  private static func singleLine(_ text: String) -> String {
    var line = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      let isControl = scalar.value < 0x20 || 0x7f..<0xa0 ~= scalar.value
      line.append(isControl || scalar == "\u{2028}" || scalar == "\u{2029}" ? " " : scalar)
    }
    return String(line)
  }
}
