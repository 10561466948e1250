// A sample: uploads that go on while the app is suspended or gone, by a background URLSession. See docs/mobile.md.
//
// NOT COMPILED OR RUN where this repository is built, which has no Swift. It was written against the sources of
// connect-swift 1.2.3 and swift-protobuf 1.x, for iOS 15 and Swift 5 mode. Read it, compile it, test it on a device.

import Connect
import CryptoKit
import Foundation

/// What is remembered of an upload until its media has been saved.
struct PendingUpload: Codable {
    /// Idempotency key, such as a UUID kept with the draft. The same key is the same upload, whatever happens to the process.
    let key: String
    /// Name of the file in `CoatcheckUpload.folder`. Not its path: the app's container moves when the app is updated.
    let file: String
    let contentType: String
    var mediaID = ""
    var sent = false
    var attempts = 0
}

@MainActor
final class CoatcheckUpload: NSObject {
    static let sessionIdentifier = "coatcheck-uploads"

    /// Files are copied here first: one that a picker shares is not there after a restart.
    let folder: URL

    /// Called on the main actor with bytes sent and expected.
    var onProgress: (_ key: String, _ sent: Int64, _ total: Int64) -> Void = { _, _, _ in }
    /// Called when S3 has the file: tell your backend, which claims `mediaID`; then call `forget`.
    var onSent: (PendingUpload) -> Void = { _ in }
    /// Called when trying again does not help. The upload is kept until `forget`.
    var onFailure: (PendingUpload, _ reason: String) -> Void = { _, _ in }
    /// What the system handed to `application(_:handleEventsForBackgroundURLSession:completionHandler:)`.
    var backgroundCompletion: (() -> Void)?

    private let service: Coatcheck_V1_UploadServiceClientInterface
    private var uploads: [String: PendingUpload] = [:]
    private var index: URL { folder.appendingPathComponent("uploads.json") }

    // One session with this identifier for the whole life of the process. It is made at launch, so that the system finds
    // a delegate for what ended while the app was gone.
    private lazy var session: URLSession = {
        let c = URLSessionConfiguration.background(withIdentifier: Self.sessionIdentifier)
        c.sessionSendsLaunchEvents = true
        c.isDiscretionary = false // the URL has a short life
        c.timeoutIntervalForResource = 24 * 60 * 60 // the upload window: later, coatcheck has given the upload up
        return URLSession(configuration: c, delegate: self, delegateQueue: .main)
    }()

    /// `host` is your backend's, which passes `UploadService` on. `authorization` is the user's, and goes to it alone.
    init(folder: URL, host: String, authorization: String) throws {
        self.folder = folder
        self.authorization = authorization
        service = Coatcheck_V1_UploadServiceClient(
            client: ProtocolClient(
                httpClient: URLSessionHTTPClient(),
                config: ProtocolClientConfig(host: host, networkProtocol: .connect, codec: ProtoCodec(), timeout: 15)
            )
        )
        super.init()
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        if let data = try? Data(contentsOf: index) {
            uploads = try JSONDecoder().decode([String: PendingUpload].self, from: data)
        }
    }

    private let authorization: String
    private var ending = 0 // answers being dealt with, for which a call to the backend may be needed
    private var eventsDelivered = false
    private var headers: Connect.Headers { ["authorization": [authorization]] }

    /// Call at each launch: tasks that the system has are left to it, and everything else goes on where it was.
    func resume() async {
        let running = Set(await session.allTasks.compactMap(\.taskDescription))
        for upload in uploads.values where !running.contains(upload.key) {
            if upload.sent { onSent(upload) } else { await begin(upload.key) }
        }
    }

    func start(_ upload: PendingUpload) async throws {
        uploads[upload.key] = upload
        try save() // before anything else: from here on a kill loses nothing
        await begin(upload.key)
    }

    /// Ends an upload whose media has been saved.
    func forget(_ key: String) throws {
        uploads[key] = nil
        try save()
    }

    /// Gives an upload up. It is forgotten even if coatcheck cannot be told: what nobody claims is swept.
    func cancel(_ key: String) async throws {
        let id = uploads[key]?.mediaID ?? ""
        try forget(key)
        for task in await session.allTasks where task.taskDescription == key { task.cancel() }
        guard !id.isEmpty else { return }
        let answer = await service.cancelUpload(request: .with { $0.mediaID = id }, headers: headers)
        if let error = answer.error, error.code != .notFound { throw error }
    }

    /// Asks for the media and a fresh URL, which the same key gets each time, and hands the file to the system.
    private func begin(_ key: String) async {
        guard var upload = uploads[key] else { return }
        let file = folder.appendingPathComponent(upload.file)
        let declared: Coatcheck_V1_CreateUploadRequest
        do {
            let (size, sha256) = try await Task.detached { try summed(file) }.value
            declared = .with {
                $0.idempotencyKey = upload.key
                $0.contentType = upload.contentType
                $0.fileName = upload.file
                $0.sizeBytes = size
                $0.checksumSha256 = sha256
            }
        } catch {
            return onFailure(upload, "the file cannot be read")
        }
        let answer = await service.createUpload(request: declared, headers: headers)
        guard let created = answer.message else {
            // `.unavailable` and a lost network pass: `resume` tries again at the next launch, or call it when there is one.
            return onFailure(upload, answer.error?.message ?? "no answer")
        }
        guard uploads[key] != nil else { return } // cancelled meanwhile
        upload.mediaID = created.media.id
        upload.sent = !created.hasRequest // it landed in an earlier life of the app
        uploads[key] = upload
        try? save()
        if upload.sent { return onSent(upload) }

        guard let url = URL(string: created.request.url) else { return onFailure(upload, "not a URL") }
        var request = URLRequest(url: url)
        request.httpMethod = created.request.method
        for (name, value) in created.request.headers where !["content-length", "host"].contains(name.lowercased()) {
            request.setValue(value, forHTTPHeaderField: name) // exactly these; the system adds length and host
        }
        let task = session.uploadTask(with: request, fromFile: file)
        task.taskDescription = key // survives the app, unlike this object
        task.resume()
    }

    private func ended(_ key: String, status: Int?, error: Error?) async {
        ending += 1
        defer {
            ending -= 1
            letSleep()
        }
        guard var upload = uploads[key] else { return } // cancelled
        switch status {
        case .some(200..<300), 412?: // 412: it is there already, and nothing else can be
            upload.sent = true
            uploads[key] = upload
            try? save()
            onSent(upload)
        case 403?, 408?, 409?, 429?, .some(500...), nil: // 403: expired, as a rule. A fresh URL is due in any case.
            upload.attempts += 1
            uploads[key] = upload
            try? save()
            guard upload.attempts < 5 else { return onFailure(upload, error?.localizedDescription ?? "S3 answered \(status ?? 0)") }
            await begin(key)
        default: // 400 BadDigest: the file is not what it was when it was summed up
            onFailure(upload, "S3 answered \(status ?? 0)")
        }
    }

    /// Tells the system that the app may be suspended again: not before a fresh URL was asked for, where one was due.
    private func letSleep() {
        guard eventsDelivered, ending == 0 else { return }
        eventsDelivered = false
        backgroundCompletion?()
        backgroundCompletion = nil
    }

    private func save() throws {
        try JSONEncoder().encode(uploads).write(to: index, options: .atomic)
    }
}

// Called on the main queue, which the session was given.
extension CoatcheckUpload: URLSessionTaskDelegate {
    nonisolated func urlSession(
        _ session: URLSession, task: URLSessionTask, didSendBodyData bytesSent: Int64, totalBytesSent: Int64,
        totalBytesExpectedToSend: Int64
    ) {
        guard let key = task.taskDescription else { return }
        Task { @MainActor in onProgress(key, totalBytesSent, totalBytesExpectedToSend) }
    }

    nonisolated func urlSession(_ session: URLSession, task: URLSessionTask, didCompleteWithError error: Error?) {
        guard let key = task.taskDescription else { return }
        let status = (task.response as? HTTPURLResponse)?.statusCode
        Task { @MainActor in await ended(key, status: status, error: error) }
    }

    nonisolated func urlSessionDidFinishEvents(forBackgroundURLSession session: URLSession) {
        Task { @MainActor in
            eventsDelivered = true
            letSleep()
        }
    }
}

/// Size and SHA-256 in base64 of a file, read piece by piece.
private func summed(_ file: URL) throws -> (Int64, String) {
    let handle = try FileHandle(forReadingFrom: file)
    defer { try? handle.close() }
    var sum = SHA256()
    var size: Int64 = 0
    while let piece = try handle.read(upToCount: 1 << 20), !piece.isEmpty {
        sum.update(data: piece)
        size += Int64(piece.count)
    }
    return (size, Data(sum.finalize()).base64EncodedString())
}
