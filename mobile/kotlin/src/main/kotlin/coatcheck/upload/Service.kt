package coatcheck.upload

import coatcheck.v1.UploadServiceClient
import com.connectrpc.AnyError
import com.connectrpc.CODEC_NAME_PROTO
import com.connectrpc.Codec
import com.connectrpc.ConnectErrorDetail
import com.connectrpc.ErrorDetailParser
import com.connectrpc.ProtocolClientConfig
import com.connectrpc.SerializationStrategy
import com.connectrpc.impl.ProtocolClient
import com.connectrpc.okhttp.ConnectOkHttpClient
import com.connectrpc.simpleTimeouts
import com.google.protobuf.Internal
import com.google.protobuf.MessageLite
import okhttp3.Dispatcher
import okhttp3.OkHttpClient
import okio.Buffer
import okio.BufferedSource
import kotlin.reflect.KClass
import kotlin.time.Duration.Companion.seconds

/**
 * Returns the client of `UploadService` at a base URL, which is that of your backend: a service token is nothing for a phone.
 * The backend checks who the user is, and passes the five calls on with its token and `Coatcheck-Owner`.
 *
 * @param http signs in, by an interceptor that adds the user's `Authorization`.
 */
fun uploadService(baseUrl: String, http: OkHttpClient = OkHttpClient()): UploadServiceClient {
    val calls = ConnectOkHttpClient.configureClient(http.newBuilder()).build()
    // OkHttp makes 5 calls to a host at a time, and each watch is one until it ends: with a dispatcher of their own they do
    // not hold up the rest.
    val watches = calls.newBuilder().dispatcher(Dispatcher().apply { maxRequestsPerHost = maxRequests }).build()
    val config = ProtocolClientConfig(
        host = baseUrl,
        serializationStrategy = LiteProtobuf,
        timeoutOracle = simpleTimeouts(unaryTimeout = 15.seconds, streamTimeout = null),
    )
    return UploadServiceClient(ProtocolClient(ConnectOkHttpClient(calls, watches), config))
}

/**
 * Protobuf-lite messages in binary, for the Connect protocol. `com.connectrpc:connect-kotlin-google-javalite-ext` does the same,
 * and gRPC, and may take its place; not every mirror of Maven Central has it.
 */
private object LiteProtobuf : SerializationStrategy {
    override fun serializationName() = CODEC_NAME_PROTO

    override fun <E : Any> codec(clazz: KClass<E>) = object : Codec<E> {
        override fun encodingName() = CODEC_NAME_PROTO
        override fun serialize(message: E): Buffer = Buffer().write((message as MessageLite).toByteArray())
        override fun deterministicSerialize(message: E): Buffer = serialize(message) // only for GET, which is off
        override fun deserialize(source: BufferedSource): E = parse(clazz, source.readByteArray())
    }

    override fun errorDetailParser() = object : ErrorDetailParser {
        override fun <E : Any> unpack(any: AnyError, clazz: KClass<E>): E = parse(clazz, any.value.toByteArray())
        override fun parseDetails(bytes: ByteArray) = emptyList<ConnectErrorDetail>() // only asked for by gRPC
    }

    @Suppress("UNCHECKED_CAST") // every generated message is a MessageLite, and its parser makes its own class
    private fun <E : Any> parse(clazz: KClass<E>, bytes: ByteArray): E =
        Internal.getDefaultInstance(clazz.java as Class<MessageLite>).parserForType.parseFrom(bytes) as E
}
