// C++ tapes for the Rust binary `scalars`, which starts this program and takes turns with it.
//
// The first line of output has the names of the libraries, separated by tabs. A line `NAME N M x.. d..` on stdin opens a
// function at a point, with its data, and is answered by the numbers (from 0) of the libraries that can compute it. A line
// `LIBRARY COUNT` computes the gradient once, then COUNT times, and prints the nanoseconds of these, the value and the
// gradient.

#include <cstdio>
#include <ctime>
#include <functional>
#include <iostream>
#include <map>
#include <string>

#include <cppad/cppad.hpp>
#if __has_include(<adolc/adolc.h>)
#define ADOLC
#include <adolc/adolc.h>
#endif

#include "functions.hpp"

// Writes the gradient and returns the value.
using Gradient = std::function<double(Data&)>;

namespace cppad {
using Number = CppAD::AD<double>;

template <class F> void record(F f, const Data& x, const Data& d, CppAD::ADFun<double>& tape) {
    std::vector<Number> in(x.begin(), x.end()), out(1);
    CppAD::Independent(in);
    out[0] = f(in, d);
    tape.Dependent(in, out);
    tape.check_for_nan(false);
}

double sweep(CppAD::ADFun<double>& tape, const Data& x, Data& g) {
    double value = tape.Forward(0, x)[0];
    g = tape.Reverse(1, Data{1.0});
    return value;
}

template <class F> Gradient afresh(F f, const Data& x, const Data& d) {
    return [=](Data& g) {
        CppAD::ADFun<double> tape;
        record(f, x, d, tape);
        return sweep(tape, x, g);
    };
}

template <class F> Gradient replay(F f, const Data& x, const Data& d) {
    auto tape = std::make_shared<CppAD::ADFun<double>>();
    record(f, x, d, *tape);
    tape->optimize();
    return [=](Data& g) { return sweep(*tape, x, g); };
}
}  // namespace cppad

#ifdef ADOLC
namespace adolc {
// Buffers that hold the largest function, so that no tape goes to a file.
template <class F> double record(short tag, F f, const Data& x, const Data& d) {
    trace_on(tag, 1, 1 << 21, 1 << 22, 1 << 21, 1 << 21);
    std::vector<adouble> in(x.size());
    for (std::size_t i = 0; i < x.size(); i++) in[i] <<= x[i];
    double value;
    adouble(f(in, d)) >>= value;
    trace_off();
    return value;
}

template <class F> Gradient afresh(F f, const Data& x, const Data& d) {
    return [=](Data& g) {
        double value = record(1, f, x, d), weight = 1;
        fos_reverse(1, 1, x.size(), &weight, g.data());
        return value;
    };
}

template <class F> Gradient replay(F f, const Data& x, const Data& d) {
    record(2, f, x, d);
    return [=](Data& g) {
        double value, weight = 1;
        zos_forward(2, 1, x.size(), 1, x.data(), &value);
        fos_reverse(2, 1, x.size(), &weight, g.data());
        return value;
    };
}
}  // namespace adolc
#endif

using Open = std::vector<Gradient> (*)(const Data&, const Data&);

const char* const NAMES = "CppAD\tCppAD replay"
#ifdef ADOLC
                          "\tADOL-C\tADOL-C replay"
#endif
    ;

template <class F> std::vector<Gradient> open(const Data& x, const Data& d) {
    return {
        cppad::afresh(F(), x, d),
        cppad::replay(F(), x, d),
#ifdef ADOLC
        adolc::afresh(F(), x, d),
        adolc::replay(F(), x, d),
#endif
    };
}

const std::map<std::string, Open> FUNCTIONS{
    {"seed", open<Seed>},     {"rosenbrock", open<Rosenbrock>}, {"mlp", open<Mlp>},         {"normal", open<Normal>},
    {"matmul", open<Matmul>}, {"burgers", open<Burgers>},       {"bs", open<BlackScholes>},
};

double nanoseconds() {
    timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return 1e9 * now.tv_sec + now.tv_nsec;
}

int main() {
    std::puts(NAMES);
    std::fflush(stdout);
    std::vector<Gradient> libraries;
    Data gradient;
    std::string first;
    while (std::cin >> first) {
        auto function = FUNCTIONS.find(first);
        if (function != FUNCTIONS.end()) {
            std::size_t n, m;
            std::cin >> n >> m;
            Data x(n), d(m);
            for (double& number : x) std::cin >> number;
            for (double& number : d) std::cin >> number;
            libraries = function->second(x, d);
            gradient.assign(n, 0.0);
            for (std::size_t i = 0; i < libraries.size(); i++)
                if (libraries[i]) std::printf("%zu ", i);
            std::puts("");
            std::fflush(stdout);
            continue;
        }
        Gradient& library = libraries.at(std::stoul(first));
        std::size_t count;
        std::cin >> count;
        double value = library(gradient), start = nanoseconds();
        for (std::size_t i = 0; i < count; i++) value = library(gradient);
        std::printf("%.0f %.17g", nanoseconds() - start, value);
        for (double partial : gradient) std::printf(" %.17g", partial);
        std::puts("");
        std::fflush(stdout);
    }
}
