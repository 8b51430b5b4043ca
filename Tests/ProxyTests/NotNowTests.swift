// SPDX-License-Identifier: Apache-2.0
import Failover
import RESP
import Testing

@testable import Proxy

/// Redis says that it did not execute a command, and may later.
@Suite struct NotNow {
  private static let readOnly = "READONLY You can't write against a read only replica."

  @Test func readOnlyMidPipelineIsSentToTheNextMaster() {
    let store = FakeStore()
    let old = FakeMaster(store: store)
    let rig = Rig.serving(old)
    let client = rig.connect()
    rig.send(client, "SET a 1")
    old.role = "slave"
    #expect(rig.send(client, "GET b", "SET a 2", "GET a", "PING", "INCR c") == ["nil"])
    #expect(rig.reports.contains(.readOnly))
    rig.announce(.waiting(reason: "failover"))
    rig.advance(1_000)
    #expect(client.replies().isEmpty)
    rig.serve(FakeMaster(port: 6380, runID: "run-b", store: store))
    #expect(client.replies() == ["+OK", "2", "+PONG", ":1"], "the read is done again too")
    #expect(store.executed.filter { $0 == "INCR c" }.count == 1)
    rig.expectNothingHeld()
  }

  @Test(arguments: [
    "LOADING Redis is loading the dataset in memory", "BUSY Redis is busy running a script.",
    "NOREPLICAS Not enough good replicas to write.", "MISCONF Redis is configured to save",
    "MASTERDOWN Link with MASTER is down", "UNBLOCKED force unblock from blocking operation",
    "READONLY You can't write against a read only replica.",
    "ERR Error running script (call to x): @user_script:1: -READONLY You can't write",
  ])
  func isTriedAgainUntilItWorks(_ error: String) {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    var count = 0
    master.fault = { line, _ in
      guard line == "INCR a" else { return nil }
      count += 1
      return count <= 5 ? .error(error) : nil
    }
    rig.push(client, "INCR a", "GET a")
    rig.pump()
    #expect(count == 1, "not at once")
    rig.advance(1_000)
    #expect(client.replies() == [":1", "1"])
    #expect(count == 6)
    rig.expectNothingHeld()
  }

  @Test(arguments: [
    ("LOADING Redis is loading", "-LOADING "), ("READONLY You can't write", "-NOMASTER"),
  ])
  func isAnsweredAtTheDeadline(_ error: String, _ answer: String) {
    let master = FakeMaster()
    let rig = Rig.serving(master) { $0.waitMilliseconds = 1_000 }
    let client = rig.connect()
    master.fault = { line, _ in line.hasPrefix("SET") ? .error(error) : nil }
    rig.push(client, "SET a 1", "SET b 1", "PING")
    rig.advance(1_300)
    let replies = client.replies()
    #expect(replies.map { String($0.prefix(9)) } == [answer, answer, "+PONG"])
    master.fault = nil
    #expect(rig.send(client, "SET a 1") == ["+OK"])
    rig.expectNothingHeld()
  }

  @Test(arguments: [
    "WRONGTYPE Operation against a key", "OOM command not allowed", "NOPERM no permissions",
    "ERR something", "READONLYISH",
  ])
  func otherErrorsAreTheClients(_ error: String) {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    master.fault = { line, _ in line == "INCR a" ? .error(error) : nil }
    #expect(rig.send(rig.connect(), "INCR a", "GET b") == ["-\(error)", "nil"])
  }

  @Test func otherClientsAreNotHeldUp() {
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let unlucky = rig.connect()
    let other = rig.connect()
    master.fault = { line, _ in line.hasPrefix("SET") ? .error(Self.readOnly) : nil }
    rig.push(unlucky, "SET a 1")
    rig.push(other, "GET a")
    rig.pump()
    #expect(other.replies() == ["nil"])
    #expect(unlucky.replies().isEmpty)
  }

  @Test func writesOfOneClientKeepTheirOrder() {
    // The node takes writes again between two of a pipeline: the first must not come last.
    let master = FakeMaster()
    let rig = Rig.serving(master)
    let client = rig.connect()
    var count = 0
    master.fault = { line, _ in
      guard line == "SET a 1" else { return nil }
      count += 1
      return count == 1 ? .error("BUSY Redis is busy running a script.") : nil
    }
    rig.push(client, "SET a 1", "SET a 2", "GET a")
    rig.advance(1_000)
    let replies = client.replies()
    #expect(replies.last == "2", "\(replies)")
    #expect(rig.send(client, "GET a") == ["2"])
    rig.expectNothingHeld()
  }

  @Test func forgottenScriptIsLoadedAgain() {
    let store = FakeStore()
    let old = FakeMaster(store: store)
    let rig = Rig.serving(old)
    let client = rig.connect()
    let digest = FakeConnection.digest(of: "abc")
    #expect(rig.send(client, "SCRIPT LOAD abc", "EVALSHA \(digest) 0") == [digest, "ran"])
    let next = FakeMaster(port: 6380, runID: "run-b", store: store)
    rig.serve(next)
    #expect(rig.send(client, "EVALSHA \(digest.uppercased()) 0")[0].hasPrefix("-NOSCRIPT") == false)
    #expect(next.scripts.contains(digest))
    let stranger = "EVALSHA \(String(repeating: "f", count: 40)) 0"
    #expect(rig.send(client, stranger)[0].hasPrefix("-NOSCRIPT"))
    rig.expectNothingHeld()
  }

  @Test func readBehindAForgottenScriptSeesIt() {
    let old = FakeMaster()
    let rig = Rig.serving(old)
    let client = rig.connect()
    let digest = FakeConnection.digest(of: "abc")
    rig.send(client, "SCRIPT LOAD abc")
    rig.serve(FakeMaster(port: 6380, runID: "run-b"))
    let replies = rig.send(client, "EVALSHA \(digest) 1 k", "GET k")
    #expect(replies == ["ran", "scripted"])
    rig.expectNothingHeld()
  }
}

@Suite struct Greeting {
  @Test func credentials() {
    let master = FakeMaster()
    master.password = "secret"
    let rig = Rig()
    rig.credentials = Credentials(username: nil, password: "secret")
    rig.serve(master)
    let client = rig.connect()
    #expect(rig.send(client, "GET a") == ["nil"])
    #expect(rig.send(client, "HELLO 3", "GET a").last == "nil")
    #expect(rig.send(client, "MULTI", "SET a 1", "EXEC") == ["+OK", "+QUEUED", "[+OK]"])
    #expect(rig.send(client, "MULTI", "GET a", "EXEC") == ["+OK", "+QUEUED", "[1]"])
  }

  @Test func wrongPasswordIsReported() {
    let master = FakeMaster()
    master.password = "secret"
    let rig = Rig()
    rig.credentials = Credentials(username: nil, password: "wrong")
    rig.serve(master)
    rig.advance(1_000)
    let failures = rig.reports.filter { if case .authenticationFailed = $0 { true } else { false } }
    #expect(!failures.isEmpty)
    #expect(failures.count <= 20, "\(failures.count) attempts in a second")
    #expect("\(failures)".contains("WRONGPASS"))
    #expect(!"\(failures)".contains("wrong\""))
  }

  @Test func replicaIsNotUsed() {
    let replica = FakeMaster()
    replica.role = "slave"
    let rig = Rig.serving(replica)
    let client = rig.connect()
    #expect(rig.send(client, "GET a").isEmpty)
    #expect(rig.reports.contains(.notMaster(role: "slave")))
    #expect(!rig.reports.contains(.ready))
    #expect(replica.store.executed.isEmpty)
  }
}
