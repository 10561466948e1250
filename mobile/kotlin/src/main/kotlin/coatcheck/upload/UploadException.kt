package coatcheck.upload

import coatcheck.v1.MediaOuterClass.DeleteReason
import coatcheck.v1.MediaOuterClass.ErrorInfo
import coatcheck.v1.MediaOuterClass.ErrorReason
import com.connectrpc.Code
import com.connectrpc.ConnectException

/**
 * Why an upload did not succeed, and what to do. No message holds a presigned URL.
 *
 * @property passes whether the same call may succeed later, with nothing changed: what was done so far is kept. A worker
 * answers `Result.retry()` then.
 */
sealed class UploadException(message: String, val passes: Boolean, cause: Throwable? = null) : Exception(message, cause) {

    /** The network or S3 failed, as often as [Patience.attempts] allows. Call again later with the same key. */
    class Interrupted(what: String, cause: Throwable? = null) :
        UploadException("$what: upload again later, with the same key", passes = true, cause)

    /** S3 said that the URL has expired, each time. Each had been asked for right before; the device may have slept. */
    class Expired : UploadException("the URL expired before the upload began: upload again, with the same key", passes = true)

    /**
     * The file was sent, and coatcheck has not learnt of it within [Patience.landing]. Saving may go on all the same: when
     * the backend confirms [mediaId], coatcheck asks S3 itself.
     */
    class NotNotified(val mediaId: String) :
        UploadException("media $mediaId was sent, and is not known to have landed yet: save it, or wait again", passes = true)

    /** The file cannot be read, or is not what it was when the upload began. Nothing was stored. Upload it anew. */
    class FileChanged(path: String, cause: Throwable? = null) :
        UploadException("$path cannot be read, or changed while it was uploaded: upload it anew", passes = false, cause)

    /** What was uploaded is DELETING or DELETED, for [reason]. Uploading again with the same key makes a new media. */
    class Gone(val mediaId: String, val reason: DeleteReason) :
        UploadException("media $mediaId is gone (${reason.name.removePrefix("DELETE_REASON_").lowercase()}): upload it anew", false)

    /**
     * coatcheck, or the backend before it, refused a call with [code]. [info] tells programs why, where coatcheck said so.
     * With [Code.UNAUTHENTICATED] the app signs its user in again; with [ErrorReason.ERROR_REASON_IDEMPOTENCY_MISMATCH] the
     * key was used for another content, type or name: [Uploader.cancel] it, or use another key.
     */
    class Refused(val code: Code, val info: ErrorInfo?, message: String, cause: Throwable) :
        UploadException(message, passes = code in passing, cause)

    /**
     * S3 refused the upload with [status] and [code]. `SignatureDoesNotMatch`, and `AccessDenied` with a message about headers,
     * mean that something changes or adds a header: a proxy, or an interceptor of the [okhttp3.OkHttpClient].
     */
    class S3Refused(val status: Int, val code: String, message: String) :
        UploadException("S3 refused the upload with status $status $code ($message): see docs/mobile.md", passes = false)

    internal companion object {
        // A call that failed before there was an answer has code UNKNOWN.
        private val passing = setOf(
            Code.UNKNOWN, Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED, Code.RESOURCE_EXHAUSTED, Code.ABORTED, Code.INTERNAL_ERROR,
        )

        fun refused(e: ConnectException) =
            Refused(e.code, e.unpackedDetails(ErrorInfo::class).firstOrNull(), e.message ?: "the call failed (${e.code.codeName})", e)
    }
}
