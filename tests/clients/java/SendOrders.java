import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.concurrent.Future;
import org.apache.avro.Conversions;
import org.apache.avro.Schema;
import org.apache.avro.generic.GenericData;
import org.apache.avro.generic.GenericDatumWriter;
import org.apache.avro.generic.GenericRecord;
import org.apache.avro.generic.GenericRecordBuilder;
import org.apache.avro.io.BinaryEncoder;
import org.apache.avro.io.EncoderFactory;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerConfig;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.header.Headers;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.serialization.StringSerializer;

/**
 * Sends orders to Headrace: Avro by the catalogue's schema, Confluent's framing, CloudEvents headers, Java's
 * default partitioner, transactions. Before them as many in a transaction that it aborts, which nobody may see.
 *
 * <p>Arguments: bootstrap servers, topic, number of orders. Prints a line of JSON for each that it committed.
 */
public final class SendOrders {
    static final String CONTRACT = "commerce.order";
    private static final List<String> KEYS =
            List.of("ORD-1", "ORD-2", "ORD-3", "Bestellung-ä", "заказ-7", "注文-42", "🛒-1", "x".repeat(100));
    private static final GenericData MODEL = new GenericData();

    static {
        MODEL.addLogicalTypeConversion(new Conversions.DecimalConversion());
    }

    private final KafkaProducer<String, byte[]> producer;
    private final String topic;
    private final int schemaId;
    private final Schema schema;

    private SendOrders(KafkaProducer<String, byte[]> producer, String topic, Catalogue catalogue) {
        this.producer = producer;
        this.topic = topic;
        this.schemaId = catalogue.newestId(CONTRACT);
        this.schema = catalogue.schema(schemaId);
    }

    public static void main(String[] arguments) throws Exception {
        String bootstrapServers = arguments[0];
        int count = Integer.parseInt(arguments[2]);
        Properties settings = new Properties();
        settings.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, bootstrapServers);
        settings.put(ProducerConfig.TRANSACTIONAL_ID_CONFIG, "java-shop"); // makes it idempotent, with acks=all
        Catalogue catalogue = Catalogue.read(bootstrapServers);
        try (var producer = new KafkaProducer<>(settings, new StringSerializer(), new ByteArraySerializer())) {
            producer.initTransactions();
            SendOrders orders = new SendOrders(producer, arguments[1], catalogue);
            producer.beginTransaction();
            orders.send("aborted", count);
            producer.flush(); // they are in the log, and stay there
            producer.abortTransaction();
            producer.beginTransaction();
            Map<ProducerRecord<String, byte[]>, Future<RecordMetadata>> sent = orders.send("java", count);
            producer.commitTransaction();
            for (var each : sent.entrySet()) {
                print(each.getKey(), each.getValue().get());
            }
        }
    }

    private Map<ProducerRecord<String, byte[]>, Future<RecordMetadata>> send(String source, int count)
            throws IOException {
        Map<ProducerRecord<String, byte[]>, Future<RecordMetadata>> sent = new LinkedHashMap<>();
        for (int number = 0; number < count; number++) {
            String key = KEYS.get(number % KEYS.size());
            boolean large = number % 3 == 0;
            byte[] value = Catalogue.framed(schemaId, avro(order(key, number, large ? "1499.00" : "20.00")));
            var message = new ProducerRecord<>(topic, key, value);
            describe(message.headers(), source, number, large ? "high" : "low");
            sent.put(message, producer.send(message));
        }
        return sent;
    }

    private void describe(Headers headers, String source, int number, String priority) {
        add(headers, "ce_specversion", "1.0");
        add(headers, "ce_id", source + "-" + number);
        add(headers, "ce_type", schema.getName());
        add(headers, "ce_source", source);
        add(headers, "ce_time", Instant.now().toString());
        add(headers, "priority", priority);
        headers.add("x-binary", new byte[] {(byte) 0xff, 0}); // others need not be text
    }

    private static void add(Headers headers, String name, String value) {
        headers.add(name, value.getBytes(StandardCharsets.UTF_8));
    }

    private GenericRecord order(String key, int number, String total) {
        Schema lineType = schema.getField("lines").schema().getElementType();
        GenericRecord line = new GenericRecordBuilder(lineType)
                .set("sku", "SKU-" + number)
                .set("quantity", 1)
                .set("unit_price", new BigDecimal(total))
                .build();
        return new GenericRecordBuilder(schema)
                .set("order_id", key)
                .set("customer_id", "C-" + number)
                .set("total_amount", new BigDecimal(total))
                .set("currency", "EUR")
                .set("country", "DE")
                .set("lines", List.of(line))
                .build();
    }

    private byte[] avro(GenericRecord order) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        BinaryEncoder encoder = EncoderFactory.get().binaryEncoder(bytes, null);
        new GenericDatumWriter<GenericRecord>(schema, MODEL).write(order, encoder);
        encoder.flush();
        return bytes.toByteArray();
    }

    private static void print(ProducerRecord<String, byte[]> message, RecordMetadata place) throws IOException {
        Map<String, Object> line = new LinkedHashMap<>();
        line.put("key", message.key());
        line.put("partition", place.partition());
        line.put("value", HexFormat.of().formatHex(message.value()));
        line.put("headers", ReadTopics.readable(message.headers()));
        System.out.println(new ObjectMapper().writeValueAsString(line));
    }
}
