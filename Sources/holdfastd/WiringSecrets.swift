// SPDX-License-Identifier: Apache-2.0
import NIOSSL
import RESP
import Settings

// Certificates and passwords.
extension Wiring {
  static func context(_ tls: Settings.TLS, key: String) throws -> NIOSSLContext? {
    guard tls.enabled else { return nil }
    do {
      var configuration = TLSConfiguration.makeClientConfiguration()
      if let file = tls.caFile { configuration.trustRoots = .file(file) }
      if let file = tls.certificateFile {
        configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(file).map {
          .certificate($0)
        }
      }
      if let file = tls.keyFile {
        configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: file, format: .pem))
      }
      switch tls.verify {
      case .full: configuration.certificateVerification = .fullVerification
      case .ca: configuration.certificateVerification = .noHostnameVerification
      case .none: configuration.certificateVerification = .none
      }
      return try NIOSSLContext(configuration: configuration)
    } catch {
      throw WiringError(description: "\(key): certificates or key cannot be used: \(error)")
    }
  }

  /// What clients of the TCP listener are shown; nil: they speak plain TCP.
  static func frontContext(_ tcp: Settings.TCP) throws -> NIOSSLContext? {
    guard tcp.tls, let certificate = tcp.certificateFile, let key = tcp.keyFile else { return nil }
    do {
      return try NIOSSLContext(
        configuration: .makeServerConfiguration(
          certificateChain: try NIOSSLCertificate.fromPEMFile(certificate).map { .certificate($0) },
          privateKey: .privateKey(try NIOSSLPrivateKey(file: key, format: .pem))))
    } catch {
      throw WiringError(description: "tcp: certificate or key cannot be used: \(error)")
    }
  }
}

/// A password that is read again when its file has changed.
struct Secret: Sendable {
  private let username: String?
  private let file: SecretFile

  init?(username: String?, file: String?, key: String) throws {
    guard let file else { return nil }
    self.username = username
    self.file = SecretFile(file)
    do { _ = try self.file.read() } catch { throw WiringError(description: "\(key): \(error)") }
  }

  /// An empty password while the file cannot be read: Redis then says that it is wrong.
  func credentials() -> Credentials {
    Credentials(username: username, password: (try? file.read()) ?? "")
  }
}
