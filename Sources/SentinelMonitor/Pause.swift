// SPDX-License-Identifier: Apache-2.0

import NIOCore

extension EventLoop {
  /// Waits, on the loop's own timer; ends early when the task is cancelled.
  func pause(milliseconds: Int64) async {
    let timer = scheduleTask(in: .milliseconds(milliseconds)) {}
    await withTaskCancellationHandler {
      try? await timer.futureResult.get()
    } onCancel: {
      timer.cancel()
    }
  }
}
