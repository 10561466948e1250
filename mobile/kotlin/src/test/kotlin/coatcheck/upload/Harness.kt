package coatcheck.upload

import coatcheck.v1.MediaOuterClass.Media
import coatcheck.v1.UploadServiceOuterClass.GetUploadRequest
import com.connectrpc.getOrThrow
import okhttp3.Headers
import okhttp3.Interceptor
import okhttp3.MediaType.Companion.toMediaType
import okhttp3.OkHttpClient
import okhttp3.Protocol
import okhttp3.Request
import okhttp3.RequestBody.Companion.toRequestBody
import okhttp3.Response
import okhttp3.ResponseBody.Companion.toResponseBody
import java.io.File
import java.nio.file.Files
import java.nio.file.Path
import java.util.UUID
import java.util.concurrent.CopyOnWriteArrayList
import java.util.concurrent.atomic.AtomicInteger
import kotlin.random.Random
import kotlin.time.Duration.Companion.milliseconds
import kotlin.time.Duration.Companion.seconds

val quick = Patience(firstPause = 20.milliseconds, longestPause = 500.milliseconds, landing = 30.seconds)

/** What happens to a request, in place of being sent. */
typealias Fault = (Interceptor.Chain) -> Response

/** An app's process: its uploader, and what went over the wire. A second one on the same folder is the app started again. */
class App(
    private val server: String = Dev.shared.url,
    val folder: File = newFolder(),
    patience: Patience = quick,
    protocols: List<Protocol> = listOf(Protocol.HTTP_1_1),
    onCall: Fault = { it.proceed(it.request()) },
    onPut: Fault = { it.proceed(it.request()) },
) {
    /** The calls' methods, such as `GetUpload`. */
    val calls = CopyOnWriteArrayList<String>()

    /** S3's answers to PUTs, and those of a fault. */
    val puts = CopyOnWriteArrayList<Int>()

    /** The PUTs' headers as they went out. */
    val sent = CopyOnWriteArrayList<Headers>()

    private val service = uploadService(
        server,
        OkHttpClient.Builder().protocols(protocols).addInterceptor { chain ->
            calls += chain.request().url.pathSegments.last()
            onCall(chain)
        }.build(),
    )
    private val http = OkHttpClient.Builder()
        .addInterceptor { chain -> onPut(chain).also { puts += it.code } }
        .addNetworkInterceptor { chain -> sent += chain.request().headers; chain.proceed(chain.request()) }
        .build()
    private val store = FileUploadStore(File(folder, "uploads"))

    val uploader = Uploader(service, store, http, patience)

    fun upload(size: Int = 200_000, type: String = "image/jpeg", name: String = "coat.jpg") =
        Upload(UUID.randomUUID().toString(), File(folder, name).apply { writeBytes(Random.nextBytes(size)) }, type)

    suspend fun get(id: String): Media =
        service.getUpload(GetUploadRequest.newBuilder().setMediaId(id).build()).getOrThrow().media

    /** Calls what only the product's backend calls, and returns the status and the JSON. */
    fun backend(method: String, json: String): Pair<Int, String> = OkHttpClient().newCall(
        Request.Builder().url("$server/coatcheck.v1.MediaService/$method")
            .post(json.toByteArray().toRequestBody("application/json".toMediaType())).build(),
    ).execute().use { it.code to it.body.string() }

    fun claim(id: String, claim: String) = backend("ConfirmMedia", """{"mediaId": "$id", "claim": "$claim"}""")

    /** What a download gets. */
    fun content(id: String): ByteArray {
        val url = Regex(""""url":\s*"([^"]+)"""").find(backend("CreateDownload", """{"mediaId": "$id"}""").second)!!.groupValues[1]
        return OkHttpClient().newCall(Request.Builder().url(url.replace("\\u0026", "&")).build()).execute().use { it.body.bytes() }
    }
}

fun isWatch(chain: Interceptor.Chain) = chain.request().url.encodedPath.endsWith("WatchUpload")

fun newFolder(): File = Files.createTempDirectory(Path.of("target"), "app").toFile()

/** Does something else the first time only. */
fun first(fault: Fault): Fault {
    val n = AtomicInteger()
    return { if (n.getAndIncrement() == 0) fault(it) else it.proceed(it.request()) }
}

/** An answer that never came from S3. */
fun answer(chain: Interceptor.Chain, status: Int, code: String = ""): Response = Response.Builder()
    .request(chain.request()).protocol(Protocol.HTTP_1_1).code(status).message("fault")
    .body("<Error><Code>$code</Code></Error>".toResponseBody()).build()
