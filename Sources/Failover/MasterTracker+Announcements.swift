// SPDX-License-Identifier: Apache-2.0

/// The instance that a sentinel's event is about: `type name ip port [@ master ip port] ...`.
struct AnnouncedInstance: Equatable {
  var type: String
  var address: NodeAddress
  /// The name of the master it belongs to, or is.
  var master: String
  /// That master's address; nil where the event does not say.
  var masterAddress: NodeAddress?

  static func parse(_ payload: String) -> AnnouncedInstance? {
    let words = payload.split(separator: " ", maxSplits: 9).map(String.init)
    guard words.count >= 4, let address = NodeAddress(host: words[2], portText: words[3]) else {
      return nil
    }
    if words[0] == "master" {
      return AnnouncedInstance(
        type: "master", address: address, master: words[1], masterAddress: address)
    }
    guard words.count >= 6, words[4] == "@" else { return nil }
    let masterAddress =
      words.count >= 8 ? NodeAddress(host: words[6], portText: words[7]) : nil
    return AnnouncedInstance(
      type: words[0], address: address, master: words[5], masterAddress: masterAddress)
  }
}

// What sentinels publish. An event triggers discovery; none is the answer.
extension MasterTracker {
  mutating func announced(by sentinel: NodeAddress, name: String, payload: String, _ now: Int64) {
    guard let index = index(of: sentinel), name.hasPrefix("+") || name.hasPrefix("-"),
      name.utf8.count <= 64, payload.utf8.count <= 1024
    else { return }
    switch name {
    case "+tilt": note(.tilt(sentinel: sentinel, isOn: true))
    case "-tilt":
      note(.tilt(sentinel: sentinel, isOn: false))
      becomeUrgent(now)
    case "+switch-master": announcedSwitch(payload, now)
    default:
      guard let instance = AnnouncedInstance.parse(payload),
        instance.master == configuration.masterName
      else { return }
      announced(at: index, name: name, about: instance, now)
    }
  }

  /// `name old-ip old-port new-ip new-port`. The node is probed at once, so that its connection is
  /// warm when the poll names it.
  private mutating func announcedSwitch(_ payload: String, _ now: Int64) {
    let words = payload.split(separator: " ").map(String.init)
    guard words.count == 5, words[0] == configuration.masterName,
      let new = NodeAddress(host: words[3], portText: words[4])
    else { return }
    becomeUrgent(now)
    wantProbe(new, urgently: true)
  }

  private mutating func announced(
    at index: Int, name: String, about instance: AnnouncedInstance, _ now: Int64
  ) {
    let sentinel = sentinels[index].address
    switch name {
    case "+sdown" where instance.type == "master":
      note(.subjectivelyDown(instance.address, sentinel: sentinel))
      sentinels[index].word?.flags.insert(.subjectivelyDown)
      if instance.address == generation?.address { recordSign(now) }
      wantProbe(instance.address)
    case "-sdown" where instance.type == "master":
      sentinels[index].word?.flags.remove(.subjectivelyDown)
    case "+odown":
      note(.objectivelyDown(instance.address, sentinel: sentinel))
      sentinels[index].seesObjectivelyDown = true
      sentinels[index].word?.flags.insert(.objectivelyDown)
      if instance.address == generation?.address { recordObjectivelyDown(now) }
      wantProbe(instance.address)
    case "-odown":
      sentinels[index].seesObjectivelyDown = false
      sentinels[index].word?.flags.remove(.objectivelyDown)
      note(.masterUp(instance.address, sentinel: sentinel))
    case "+try-failover":
      abortReason = nil
      note(.failoverStarted(sentinel: sentinel))
      announcedFailover(at: index, name: name, about: instance, now)
    case "+elected-leader": announcedFailover(at: index, name: name, about: instance, now)
    case "+selected-slave", "+promoted-slave":
      announcedFailover(at: index, name: name, about: instance, now)
      wantProbe(instance.address, urgently: true)
    case _ where name.hasPrefix("+failover-state-"):
      announcedFailover(at: index, name: name, about: instance, now)
      // `select-slave` here is `select_slave` in SENTINEL MASTER.
      let state = name.dropFirst("+failover-state-".count).map { $0 == "-" ? "_" : $0 }
      sentinels[index].word?.failoverState = String(state)
      sentinels[index].word?.flags.insert(.failoverInProgress)
      abortReason = nil
    case _ where name.hasPrefix("-failover-abort-"):
      let reason = String(name.dropFirst("-failover-abort-".count))
      sentinels[index].word?.failoverState = nil
      sentinels[index].word?.flags.remove(.failoverInProgress)
      abortReason = reason
      note(.failoverAborted(sentinel: sentinel, reason: reason))
    case "+fix-slave-config", "+slave-reconf-sent", "+slave-reconf-inprog", "+slave-reconf-done",
      "-cmd-link-reconnection", "-pubsub-link-reconnection":
      // Nothing about the master, and a lot of it.
      return
    default: break
    }
    becomeUrgent(now)
  }

  /// A step of a failover: what is written to the old master from here on may be lost.
  private mutating func announcedFailover(
    at index: Int, name: String, about instance: AnnouncedInstance, _ now: Int64
  ) {
    guard let master = instance.masterAddress else { return }
    let isForced = !sentinels[index].seesObjectivelyDown
    let isStart: Bool
    switch name {
    case "+try-failover":
      if master == generation?.address { recordFailover(isForced ? .planned : .crash, now) }
      // Without a commanded one it may well lose the election.
      guard isForced else { return }
      isStart = true
    case "+elected-leader", "+failover-state-select-slave": isStart = true
    case "+failover-state-wait-start": return
    default: isStart = false
    }
    failoverHeard(by: index, of: master, isForced: isForced, isStart: isStart, now)
    if instance.type == "slave", failover?.master == master {
      selected(instance.address, by: index, now)
    }
  }
}
