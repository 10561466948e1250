package coatcheck.upload

import java.io.File
import java.io.IOException
import java.security.MessageDigest
import java.util.Properties

/**
 * One upload, as it is remembered until [Uploader.forget] or [Uploader.cancel]. There is no URL in it: a fresh one is asked
 * for at each attempt, and one that lies on a disk may be read by others.
 *
 * @property key the idempotency key: at most 128 printable ASCII characters, unique among the owner's uploads, such as a
 * UUID that is kept with the draft. The same key is the same upload, whatever happens to the process.
 * @property file what to upload. It has to be there after a restart: copy what a picker shares to a folder of the app's own.
 * @property contentType media type in lower case, such as `image/jpeg`.
 * @property fileName for people; empty for none.
 * @property mediaId empty until it is known.
 */
data class Upload(
    val key: String,
    val file: File,
    val contentType: String,
    val fileName: String = file.name,
    val mediaId: String = "",
)

/** Remembers uploads over the death of the process. It is called on a thread that may block, by one process at a time. */
interface UploadStore {
    /** Writes an upload, over what has the same key. It is written when this returns. */
    fun save(upload: Upload)

    /** The upload with a key, or null. */
    fun load(key: String): Upload?

    /** All uploads, in no order. */
    fun all(): List<Upload>

    /** Forgets an upload. That there is none is no error. */
    fun remove(key: String)
}

/** Keeps each upload in a small file. On Android [dir] is a folder in `context.noBackupFilesDir`: a backup's are stale. */
class FileUploadStore(private val dir: File) : UploadStore {
    override fun save(upload: Upload) {
        val p = Properties()
        p["key"] = upload.key
        p["file"] = upload.file.absolutePath
        p["content_type"] = upload.contentType
        p["file_name"] = upload.fileName
        p["media_id"] = upload.mediaId
        dir.mkdirs()
        val whole = path(upload.key)
        val part = File.createTempFile("upload", ".part", dir) // a kill while writing leaves the old file as it was
        part.outputStream().use { p.store(it, null) }
        if (!part.renameTo(whole)) throw IOException("cannot write $whole")
    }

    override fun load(key: String): Upload? = read(path(key))

    override fun all(): List<Upload> = dir.listFiles { f -> f.name.endsWith(SUFFIX) }.orEmpty().mapNotNull(::read)

    override fun remove(key: String) {
        path(key).delete()
    }

    private fun read(path: File): Upload? {
        if (!path.exists()) return null
        val p = Properties().apply { path.inputStream().use(::load) }
        fun get(name: String) = p.getProperty(name, "")
        if (get("key").isEmpty()) return null // cut off by a loss of power
        return Upload(get("key"), File(get("file")), get("content_type"), get("file_name"), get("media_id"))
    }

    // A key may hold any character, and be longer than a file's name.
    private fun path(key: String): File {
        val sum = MessageDigest.getInstance("SHA-256").digest(key.toByteArray())
        return File(dir, sum.joinToString("") { "%02x".format(it) } + SUFFIX)
    }

    private companion object {
        const val SUFFIX = ".upload"
    }
}
