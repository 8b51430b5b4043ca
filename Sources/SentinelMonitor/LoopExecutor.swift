// SPDX-License-Identifier: Apache-2.0

public import NIOCore

/// Runs tasks on the event loop that their connections live on: what comes back from there wakes no other thread.
public final class LoopExecutor: TaskExecutor {
  private let loop: any EventLoop

  /// An executor on this loop.
  public init(_ loop: any EventLoop) { self.loop = loop }

  /// Runs a part of a task on the loop, in its turn.
  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    loop.execute { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
  }
}

extension EventLoop {
  /// Waits, on the loop's own timer; ends early when the task is cancelled.
  public func pause(milliseconds: Int64) async {
    let timer = scheduleTask(in: .milliseconds(milliseconds)) {}
    await withTaskCancellationHandler {
      try? await timer.futureResult.get()
    } onCancel: {
      timer.cancel()
    }
  }
}
